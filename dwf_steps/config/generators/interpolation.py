"""Points between two training networks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dwf_steps.config.generators.base import GeneratorConfig

HALF = 0.5


class InterpolationConfig(GeneratorConfig):
    """Control: a point between two randomly drawn training networks."""

    implementation: ClassVar[str] = "dwf_steps.generators.interpolation:Interpolation"

    kind: Literal["interpolation"]
    """Selects this control."""
    weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Position between the two networks: 0 is the first, 1 the second."""

    @property
    def halfway(self) -> bool:
        return self.weight == HALF
