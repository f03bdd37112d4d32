"""Architectures: each builds its module, draws initial weights, runs many networks at once, and states
its symmetries as data."""

from functools import cache

from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.architectures.module import ModuleArchitecture
from dwf_steps.config.architecture import ArchitectureConfig, MLPConfig, ModuleConfig


def build(config: ArchitectureConfig) -> Architecture:
    """Return the architecture that a configuration describes."""
    if isinstance(config, MLPConfig):
        return MLPArchitecture(config)
    return _module_architecture(config.model_dump_json())


@cache
def _module_architecture(config: str) -> ModuleArchitecture:
    return ModuleArchitecture(ModuleConfig.model_validate_json(config))
