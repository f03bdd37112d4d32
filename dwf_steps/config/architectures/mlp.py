"""Multilayer perceptrons."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from dwf_steps.config.architectures.base import Activation, NetworkConfig, Size


class MLPConfig(NetworkConfig):
    """A multilayer perceptron."""

    kind: Literal["mlp"] = "mlp"
    """The family of networks."""
    widths: Annotated[list[Size], Field(min_length=2)]
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

    @property
    def multiplications(self) -> int:
        """What one input takes."""
        return self.n_parameters

    @property
    def most_units(self) -> int:
        """The units that the largest permutation acts on."""
        return max(self.widths[1:-1], default=1)

    @property
    def units(self) -> int:
        """Units of all layers."""
        return sum(self.widths[1:])

    @property
    def most_inputs(self) -> int:
        """Inputs of a unit that has the most of them."""
        return max(self.widths[:-1])

    @property
    def symmetries(self) -> list[str]:
        """Which kinds of symmetries it has: only ReLU is positively homogeneous."""
        return ["permutation_spec", *(["rescaling_spec"] if self.activation == "relu" else [])]

    @property
    def features(self) -> int:
        """The values of one input."""
        return self.widths[0]

    @property
    def classes(self) -> int:
        """The number of outputs."""
        return self.widths[-1]

    @property
    def layers(self) -> tuple[int, ...]:
        """The values that each layer says of one input."""
        return tuple(self.widths[1:])

    @property
    def called(self) -> str:
        """What messages call it."""
        return f"{self.activation} mlp"

    @property
    def needed(self) -> str:
        """What must be set to fit other data, for messages."""
        return f"widths: found {self.widths}"
