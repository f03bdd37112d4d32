"""Representations: the coordinates that subspaces and generators work in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dwf_steps.config.section import Section, Seed

WEIGHTS = "weights"
"""Name of the representation that is always there."""


class WeightsRepresentation(Section):
    """The canonicalized weights themselves. It is always there, under the name `weights`."""

    kind: Literal["weights"]
    """Marks the representation as this one."""


class Probing(Section):
    """Which inputs networks respond to, and where their responses are looked at."""

    probes: int
    positions: int
    seed: int


class Decoding(Section):
    """How decoding meets responses: see `ResponsesRepresentation`."""

    ridge: float
    matching: Literal["activations", "pre_activations"]
    iterations: int


class ResponsesRepresentation(Section):
    """Each layer's responses to probe inputs, in a basis that all training networks share. Decoding finds
    weights whose responses are those, layer by layer."""

    kind: Literal["responses"]
    """Marks the representation as this one."""
    probes: Annotated[int, Field(ge=2)] = 1000
    """Training inputs, without labels, chosen by seed. In zoos of several so many for each."""
    functions: Annotated[int, Field(ge=1)] = 250
    """At most so many response functions a layer, and no more than probes. In zoos of several so many for
    each."""
    ridge: Annotated[float, Field(gt=0)] = 1e-3
    """Ridge of the least squares problems of decoding, relative to the mean diagonal of the Gram matrix of a
    layer's inputs."""
    matching: Literal["activations", "pre_activations"] = "activations"
    """What decoding matches: with `activations`, hidden layers match what the next layer receives, and the
    last layer the softmax; `pre_activations` is plain least squares on what the layers compute."""
    iterations: Annotated[int, Field(ge=1)] = 3
    """Steps of matching activations: of the reweighted least squares, and of Newton's method."""
    positions: Annotated[int, Field(ge=1)] = 4
    """Of convolutions and of layers over tokens: output positions sampled of every probe."""
    seed: Seed = 0
    """Seed of probes and positions."""
    jobs: Annotated[int, Field(ge=1)] = 1
    """Jobs over which encoding is divided."""

    @property
    def probing(self) -> Probing:
        """Which inputs networks respond to, and where."""
        return Probing(probes=self.probes, positions=self.positions, seed=self.seed)

    @property
    def decoding(self) -> Decoding:
        """How responses are met; iterations play no part where pre-activations are matched."""
        iterations = self.iterations if self.matching == "activations" else 1
        return Decoding(ridge=self.ridge, matching=self.matching, iterations=iterations)

    @model_validator(mode="after")
    def _functions_fit_probes(self) -> ResponsesRepresentation:
        if self.functions > self.probes:
            raise ValueError(
                f"functions ({self.functions}) must not exceed probes ({self.probes}), the number of values "
                "that a response has; lower functions or raise probes"
            )
        return self


RepresentationConfig = Annotated[WeightsRepresentation | ResponsesRepresentation, Field(discriminator="kind")]
