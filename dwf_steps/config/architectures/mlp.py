"""Multilayer perceptrons."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator

from dwf_steps.config.architectures.base import Activation, NetworkConfig, Size


class MLPConfig(NetworkConfig):
    """A multilayer perceptron."""

    kind: Literal["mlp"] = "mlp"
    """The family of networks."""
    widths: Annotated[list[Size], Field(min_length=2)]
    """Number of units in every layer, including input and output: `[784, 32, 32, 10]`."""
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
        """Multiplications for one input."""
        return self.n_parameters

    @property
    def most_units(self) -> int:
        """The number of units that the largest permutation acts on."""
        return max(self.widths[1:-1], default=1)

    @property
    def units(self) -> int:
        """The number of units of all layers."""
        return sum(self.widths[1:])

    @property
    def most_inputs(self) -> int:
        """The largest number of inputs of a unit."""
        return max(self.widths[:-1])

    @property
    def symmetries(self) -> list[str]:
        """The kinds of symmetries that it has: only ReLU is positively homogeneous."""
        return ["permutation_spec", *(["rescaling_spec"] if self.activation == "relu" else [])]

    @property
    def features(self) -> int:
        """The number of values of one input."""
        return self.widths[0]

    @property
    def classes(self) -> int:
        """The number of outputs."""
        return self.widths[-1]

    @property
    def layers(self) -> tuple[int, ...]:
        """The number of values that each layer outputs for one input."""
        return tuple(self.widths[1:])

    @property
    def called(self) -> str:
        """Its name in messages."""
        return f"{self.activation} mlp"

    def joined(self, other: NetworkConfig) -> Self | None:
        """Return the perceptron with the larger width of both in every hidden layer."""
        if not isinstance(other, MLPConfig) or len(other.widths) != len(self.widths):
            return None
        widths = [max(pair) for pair in zip(self.widths, other.widths, strict=True)]
        wide = self.model_copy(update={"widths": widths})
        ends = (self.widths[0], self.widths[-1]) == (other.widths[0], other.widths[-1])
        return wide if ends and self.activation == other.activation else None

    @property
    def needed(self) -> str:
        """The settings that would have to change to fit other data, for messages."""
        return f"widths: found {self.widths}"
