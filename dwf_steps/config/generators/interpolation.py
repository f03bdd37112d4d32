"""Points between two training networks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dwf_steps.config.generators.base import GeneratorConfig

HALF = 0.5


class InterpolationConfig(GeneratorConfig):
    """Control: a point between two training networks drawn at random."""

    implementation: ClassVar[str] = "dwf_steps.generators.interpolation:Interpolation"

    kind: Literal["interpolation"]
    """Marks the generator as this control."""
    weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    """How far to go: 0 is the first network, 1 the second."""

    @property
    def halfway(self) -> bool:
        return self.weight == HALF
