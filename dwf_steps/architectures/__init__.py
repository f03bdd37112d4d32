"""Architectures: modules, initialisation, forward passes of many networks at once, and symmetries as data."""

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
    """Build the architecture that a configuration describes.

    Parameters
    ----------
    config
        The configuration.

    Returns
    -------
    The architecture.
    """
    match config:
        case MLPConfig():
            return MLPArchitecture(config)
        case ViTConfig():
            # Imported here because their libraries take seconds, and other networks do not need them.
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
    """Build the architecture of a user-provided module; the result is cached.

    Parameters
    ----------
    config
        The configuration.

    Returns
    -------
    The architecture.
    """
    return _module_architecture(config.model_dump_json())


@cache
def _module_architecture(config: str) -> ModuleArchitecture:
    return ModuleArchitecture(ModuleConfig.model_validate_json(config))
