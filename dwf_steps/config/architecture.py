"""Network architectures."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from dwf_steps.config.section import Section

Activation = Literal["relu", "gelu", "tanh"]
Initialisation = Literal["default", "he", "xavier", "uniform", "normal"]


class MLPConfig(Section):
    """A multilayer perceptron."""

    kind: Literal["mlp"] = "mlp"
    """The family of networks."""
    widths: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2)]
    """Units of every layer, input and output included: `[784, 32, 32, 10]`."""
    activation: Activation = "relu"
    """The nonlinearity after every hidden layer."""

    @field_validator("widths", mode="before")
    @classmethod
    def _no_booleans(cls, value: object) -> object:
        if isinstance(value, list) and any(isinstance(width, bool) for width in value):
            raise ValueError("widths are integers, found a boolean")
        return value

    @property
    def n_parameters(self) -> int:
        """The number of weights and biases, d."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.widths))


ArchitectureConfig = MLPConfig
