"""Velocity networks of flows and denoisers of diffusion models: a multilayer perceptron and transformers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dwf_steps.config.generators.base import Sizes
from dwf_steps.config.section import Section, planning


class VelocityConfig(Section):
    """A multilayer perceptron on [latent, time embedding] with LayerNorm, GELU and dropout."""

    by_unit: ClassVar[bool] = False  # whether it processes whole networks by unit
    positions: ClassVar[bool] = False
    network: Literal["mlp"] = "mlp"
    """Selects this velocity network."""
    width: Annotated[int, Field(ge=1)] = 512
    """Width h of the first and the last hidden layer; those between have width h/2."""
    depth: Annotated[int, Field(ge=1)] = 3
    """Number of hidden layers."""
    time_embedding: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    """Width of the sinusoidal embedding of t."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout rate after every hidden layer."""

    @planning
    def weights_used(self, sizes: Sizes) -> float:
        """Return the number of multiplications per evaluation for one network."""
        return self.width * (2 * sizes.k + self.time_embedding + self.depth * self.width)

    @planning
    def weights_held(self, sizes: Sizes) -> float:
        """Return a lower bound of the number of weights: those of the first and the last layer."""
        return self.width * (2 * sizes.k + self.time_embedding)


class UnitTransformerConfig(Section):
    """A transformer over units, for whole networks (subspace `none`).

    Its tokens are the hidden units with their incoming and outgoing weights or, among responses, the units of
    every layer with their coordinates.
    """

    by_unit: ClassVar[bool] = True
    network: Literal["unit_transformer"]
    """Selects this velocity network."""
    width: Annotated[int, Field(ge=1)] = 128
    """Width of a token; a multiple of heads."""
    depth: Annotated[int, Field(ge=1)] = 4
    """Number of blocks of attention and MLP."""
    heads: Annotated[int, Field(ge=1)] = 4
    """Number of attention heads."""
    time_embedding: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    """Width of the sinusoidal embedding of t."""
    positions: bool = False
    """Whether units have position embeddings, which are meaningful for aligned networks. Without them the
    velocity is equivariant to permutations of the units in networks with a single hidden layer and, among
    responses, in all hidden layers; keep positions where residual connections add layers. Among responses,
    positions also standardise every unit separately."""

    @planning
    def weights_used(self, sizes: Sizes) -> float:
        """Return the number of multiplications per evaluation for one network.

        These are the transformer's for every unit, and the projections of the units' values.
        """
        return 18 * sum(sizes.layers[:-1]) * self.depth * self.width**2 + 2 * sizes.k * self.width

    @planning
    def weights_held(self, sizes: Sizes) -> float:
        """Return a lower bound of the number of weights: units share them, so there are few."""
        return 0.0

    @model_validator(mode="after")
    def _heads_divide_width(self) -> UnitTransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self


class RelationalTransformerConfig(Section):
    """A relational transformer on the network's graph, for multilayer perceptrons.

    Units are nodes and weights are edges. It needs subspace `none`.
    """

    by_unit: ClassVar[bool] = True
    positions: ClassVar[bool] = False
    network: Literal["relational_transformer"]
    """Selects this velocity network."""
    width: Annotated[int, Field(ge=1)] = 32
    """Features per node and per edge; a multiple of heads."""
    depth: Annotated[int, Field(ge=1)] = 4
    """Number of blocks of attention and updates."""
    heads: Annotated[int, Field(ge=1)] = 1
    """Number of attention heads."""
    time_embedding: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    """Width of the sinusoidal embedding of t."""

    @planning
    def weights_used(self, sizes: Sizes) -> float:
        """Return the number of multiplications per evaluation for one network, proportional to its edges."""
        return 10 * sizes.d * self.depth * self.width**2

    @planning
    def weights_held(self, sizes: Sizes) -> float:
        """Return a lower bound of the number of weights: units share them, so there are few."""
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
