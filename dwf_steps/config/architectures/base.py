"""What every architecture tells of itself before a network is built."""

from typing import Annotated, Literal

from pydantic import Field

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
        """Of networks whose inputs are tokens, how many they know; None for all others."""
        return None

    @property
    def called(self) -> str:
        """What messages call it."""
        return self.kind
