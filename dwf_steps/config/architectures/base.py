"""What settings of every architecture say of a network before it is built."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dwf_steps.config.section import Section

Activation = Literal["relu", "gelu", "tanh"]
Initialisation = Literal["default", "he", "xavier", "uniform", "normal"]
Size = Annotated[int, Field(ge=1)]
SYMMETRIES = ("permutation_spec", "rescaling_spec", "attention_spec")


class NetworkConfig(Section):
    """A family of networks."""

    kind: str
    """The family of networks."""

    @property
    def normalised(self) -> bool:
        """Whether it has batch normalisation."""
        return False

    @property
    def vocabulary_size(self) -> int | None:
        """Number of tokens that the network knows; None if its inputs are not tokens."""
        return None

    @property
    def called(self) -> str:
        """Its name in messages."""
        return self.kind

    def joined(self, other: "NetworkConfig") -> Self | None:
        """Return the smallest architecture to which networks of both can be padded.

        Padding adds units that compute nothing.

        Parameters
        ----------
        other
            The other architecture.

        Returns
        -------
        None if there is no such architecture.
        """
        return self if self == other else None


class TransformerConfig(NetworkConfig):
    """What transformers have in common."""

    width: Size
    depth: Size
    heads: Size
    mlp: Size

    @model_validator(mode="after")
    def _divisible(self) -> "TransformerConfig":
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self

    @property
    def symmetries(self) -> list[str]:
        """The kinds of symmetries that it has."""
        return ["permutation_spec", "attention_spec"]

    @property
    def parameters_of_layers(self) -> int:
        """The number of weights of all layers: attention, two norms, MLP."""
        width, mlp = self.width, self.mlp
        return self.depth * ((width + 1) * 4 * width + 4 * width + (width + 1) * mlp + (mlp + 1) * width)

    @property
    def units_of_layers(self) -> int:
        """The number of units of all layers: query, key, value and output of the attention, and the MLP's."""
        return self.depth * (5 * self.width + self.mlp)

    def outputs_of_layers(self, tokens: int) -> tuple[int, ...]:
        """Return the number of values that each part of each layer outputs for one input.

        Parameters
        ----------
        tokens
            Of one input.

        Returns
        -------
        For each layer: query, key and value; attention scores; hidden units of the MLP; outputs.
        """
        values = (3 * self.width * tokens, self.heads * tokens**2, self.mlp * tokens, self.width * tokens)
        return values * self.depth
