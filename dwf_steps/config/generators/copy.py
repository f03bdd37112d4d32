"""Copies of training networks."""

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig


class CopyConfig(GeneratorConfig):
    """Control: the training networks themselves, as perfect memorisation would return them."""

    implementation: ClassVar[str] = "dwf_steps.generators.copy:Copy"

    kind: Literal["copy"]
    """Selects this control."""
