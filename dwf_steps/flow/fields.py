"""The velocity network that a configuration asks for."""

from torch import nn

from dwf_steps.config.generator import AnyVelocity, VelocityConfig
from dwf_steps.flow.transformer import UnitTransformer
from dwf_steps.flow.units import UnitTokens
from dwf_steps.flow.velocity import VelocityMLP


def build_velocity(dimension: int, config: AnyVelocity, tokens: UnitTokens | None) -> nn.Module:
    """Return an untrained velocity network over ``dimension`` latents.

    Raises
    ------
    ValueError
        If it is to know units, and the latents are no whole networks.
    """
    if isinstance(config, VelocityConfig):
        return VelocityMLP(dimension, config)
    if tokens is None:
        raise ValueError("a transformer over units needs whole networks: use a subspace of method 'none'")
    return UnitTransformer(tokens, config)
