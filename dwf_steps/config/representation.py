"""Representations: the coordinates that subspaces and generators work in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dwf_steps.config.section import Section, Seed

WEIGHTS = "weights"
"""Name of the representation that is always defined."""


class WeightsRepresentation(Section):
    """The canonicalized weights themselves.

    This representation is always defined, under the name `weights`.
    """

    kind: Literal["weights"]
    """Selects weights as coordinates."""


class Probing(Section):
    """The inputs to which networks respond, and the positions at which responses are taken."""

    probes: int
    positions: int
    seed: int


class Decoding(Section):
    """How weights are found for given responses; see `ResponsesRepresentation`."""

    ridge: float
    matching: Literal["activations", "pre_activations"]
    iterations: int


class ResponsesRepresentation(Section):
    """Each layer's responses to probe inputs, in a basis shared by all training networks.

    Decoding finds weights that produce these responses, layer by layer.
    """

    kind: Literal["responses"]
    """Selects responses as coordinates."""
    probes: Annotated[int, Field(ge=2)] = 1000
    """Number of training inputs, chosen by `seed`; their labels are not used. In joint zoos, the number for
    each member."""
    functions: Annotated[int, Field(ge=1)] = 250
    """Maximum number of response functions (basis vectors) per layer, which cannot exceed `probes`. In joint
    zoos, the maximum for each member."""
    ridge: Annotated[float, Field(gt=0)] = 1e-3
    """Ridge of decoding's least squares problems, relative to the mean diagonal of the Gram matrix of a
    layer's inputs."""
    matching: Literal["activations", "pre_activations"] = "activations"
    """What decoding matches. With `activations`, hidden layers match the input of the next layer, and the
    last layer matches the softmax; `pre_activations` is plain least squares on the outputs of the layers."""
    iterations: Annotated[int, Field(ge=1)] = 3
    """Number of iterations when activations are matched: of reweighted least squares in hidden layers, of
    Newton's method in the last."""
    positions: Annotated[int, Field(ge=1)] = 4
    """Number of output positions sampled per probe, in convolutions and in layers over tokens."""
    seed: Seed = 0
    """Seed of the choice of probes and positions."""
    jobs: Annotated[int, Field(ge=1)] = 1
    """Number of jobs over which encoding is divided."""

    @property
    def probing(self) -> Probing:
        """The inputs and positions at which responses are taken."""
        return Probing(probes=self.probes, positions=self.positions, seed=self.seed)

    @property
    def decoding(self) -> Decoding:
        """How decoding matches responses, with one iteration where pre-activations are matched."""
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
