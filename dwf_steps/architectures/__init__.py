"""Architectures: each builds its module, draws initial weights, runs many networks at once, and states
its symmetries as data."""

from functools import cache

from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.architectures.module import ModuleArchitecture
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig


def build(config: ArchitectureConfig) -> Architecture:
    """Return the architecture that a configuration describes."""
    match config:
        case MLPConfig():
            return MLPArchitecture(config)
        case ViTConfig():
            # Imported here: libraries take seconds that other networks need not pay.
            from dwf_steps.architectures.vit import ViTArchitecture

            return ViTArchitecture(config)
        case ResNetConfig():
            from dwf_steps.architectures.resnet import ResNetArchitecture

            return ResNetArchitecture(config)
        case BertConfig():
            from dwf_steps.architectures.bert import BertArchitecture

            return BertArchitecture(config)
    return build_module(config)


def build_module(config: ModuleConfig) -> ModuleArchitecture:
    """Return the architecture of the user's own module, which is built once."""
    return _module_architecture(config.model_dump_json())


@cache
def _module_architecture(config: str) -> ModuleArchitecture:
    return ModuleArchitecture(ModuleConfig.model_validate_json(config))
