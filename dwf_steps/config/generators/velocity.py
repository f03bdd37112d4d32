"""Velocity networks of flows and denoisers of diffusion models: a multilayer perceptron and transformers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dwf_steps.config.generators.base import Sizes
from dwf_steps.config.section import Section, planning


class VelocityConfig(Section):
    """The velocity network: an MLP on [latent, time embedding] with LayerNorm, GELU and dropout."""

    network: Literal["mlp"] = "mlp"
    """Marks the velocity network as this one."""
    width: Annotated[int, Field(ge=1)] = 512
    """Width h. Hidden layers are h, then h/2, then h again."""
    depth: Annotated[int, Field(ge=1)] = 3
    """Hidden layers; the first and the last are h wide, those between h/2."""
    time_embedding: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    """Width of the sinusoidal embedding of t."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout after every hidden layer."""

    @planning
    def weights_used(self, sizes: Sizes) -> float:
        """Return how many products an evaluation for one network takes."""
        return self.width * (2 * sizes.k + self.time_embedding + self.depth * self.width)

    @planning
    def weights_held(self, sizes: Sizes) -> float:
        """Return how many weights the network has at least: those of its first and its last layer."""
        return self.width * (2 * sizes.k + self.time_embedding)


class UnitTransformerConfig(Section):
    """The velocity network: a transformer over units, for whole networks (subspace `none`). Its tokens are
    hidden units with the weights around them, or, among responses, every layer's units with their
    coordinates."""

    network: Literal["unit_transformer"]
    """Marks the velocity network as this one."""
    width: Annotated[int, Field(ge=1)] = 128
    """Width of a token; a multiple of heads."""
    depth: Annotated[int, Field(ge=1)] = 4
    """Blocks of attention and MLP."""
    heads: Annotated[int, Field(ge=1)] = 4
    """Attention heads."""
    time_embedding: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    """Width of the sinusoidal embedding of t."""
    positions: bool = False
    """Tell units apart by their place, which means something in aligned networks; without it the order of a
    single hidden layer's units plays no part. Among responses that holds for all hidden layers: leave units
    their place where residual connections add layers up. With it every unit is there standardised by
    itself."""

    @planning
    def weights_used(self, sizes: Sizes) -> float:
        """Return how many products an evaluation for one network takes: what every unit passes through, and
        what a unit's numbers pass through."""
        return 18 * sum(sizes.layers[:-1]) * self.depth * self.width**2 + 2 * sizes.k * self.width

    @planning
    def weights_held(self, sizes: Sizes) -> float:
        """Return how many weights the network has at least: units share them, so there are few."""
        return 0.0

    @model_validator(mode="after")
    def _heads_divide_width(self) -> UnitTransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self


class RelationalTransformerConfig(Section):
    """The velocity network: a relational transformer on the network's own graph, units being nodes and
    weights edges, for whole multilayer perceptrons (subspace `none`)."""

    network: Literal["relational_transformer"]
    """Marks the velocity network as this one."""
    width: Annotated[int, Field(ge=1)] = 32
    """Features of a node and of an edge; a multiple of heads."""
    depth: Annotated[int, Field(ge=1)] = 4
    """Blocks of attention and updates."""
    heads: Annotated[int, Field(ge=1)] = 1
    """Attention heads."""
    time_embedding: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    """Width of the sinusoidal embedding of t."""

    @planning
    def weights_used(self, sizes: Sizes) -> float:
        """Return how many products an evaluation for one network takes: what every weight passes through."""
        return 10 * sizes.d * self.depth * self.width**2

    @planning
    def weights_held(self, sizes: Sizes) -> float:
        """Return how many weights the network has at least: units share them, so there are few."""
        return 0.0

    @model_validator(mode="after")
    def _heads_divide_width(self) -> RelationalTransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self


def _network(value: Any) -> str:
    network = value.get("network", "mlp") if isinstance(value, dict) else getattr(value, "network", "mlp")
    return str(network)


AnyVelocity = Annotated[
    Annotated[VelocityConfig, Tag("mlp")]
    | Annotated[UnitTransformerConfig, Tag("unit_transformer")]
    | Annotated[RelationalTransformerConfig, Tag("relational_transformer")],
    Discriminator(_network),
]
