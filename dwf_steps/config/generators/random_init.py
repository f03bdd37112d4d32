"""Untrained networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.base import Context, GeneratorConfig
from dwf_steps.config.section import planning


class RandomInitConfig(GeneratorConfig):
    """Control: networks that were never trained. Like all that are made whole they are not
    canonicalized: read their distances after realigning."""

    implementation: ClassVar[str] = "dwf_steps.generators.random_init:RandomInit"
    makes: ClassVar[Literal["samples", "networks"]] = "networks"

    kind: Literal["random_init"]
    """Marks the generator as this control."""
    initialisation: Initialisation = "he"
    """How their weights are drawn."""

    def initialisations(self, zoo: tuple[str, ...]) -> tuple[str, ...]:
        return (self.initialisation,)

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        yield from initialisation_problems(self.initialisation, where, zoo, context)


@planning
def initialisation_problems(
    initialisation: Initialisation, where: str, zoo: str, context: Context
) -> Iterator[str]:
    """Yield a line if networks of a zoo cannot be initialised so."""
    architecture = context.config.zoos[zoo].architecture
    if initialisation != "default" and not isinstance(architecture, MLPConfig):
        yield (
            f"{where}.initialisation: found {initialisation!r}, but {architecture.called} "
            "networks initialise themselves; use default"
        )
