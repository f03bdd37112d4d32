"""Training networks themselves."""

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig


class CopyConfig(GeneratorConfig):
    """Control: training networks themselves, what memorising looks like."""

    implementation: ClassVar[str] = "dwf_steps.generators.copy:Copy"

    kind: Literal["copy"]
    """Marks the generator as this control."""
