"""Architectures: each builds its module, draws initial weights, runs many networks at once, and states
its symmetries as data."""

from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architecture import ArchitectureConfig


def build(config: ArchitectureConfig) -> MLPArchitecture:
    """Return the architecture that a configuration describes."""
    return MLPArchitecture(config)
