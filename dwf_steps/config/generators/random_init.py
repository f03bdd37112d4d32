"""Untrained networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.base import Context, GeneratorConfig
from dwf_steps.config.section import planning


class RandomInitConfig(GeneratorConfig):
    """Control: untrained networks.

    Like other networks that are made directly, they are not canonicalized: rely on their distances after
    realigning.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.random_init:RandomInit"
    makes: ClassVar[Literal["samples", "networks"]] = "networks"

    kind: Literal["random_init"]
    """Selects this control."""
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
    """Yield a line if the networks of a zoo cannot be initialised as requested.

    Parameters
    ----------
    initialisation
        The requested initialisation.
    where
        Key of the generator's settings.
    zoo
        Name of the zoo.
    context
        The whole configuration.

    Yields
    ------
    The key, what was found, and what to use instead.
    """
    architecture = context.config.zoos[zoo].architecture
    if initialisation != "default" and not isinstance(architecture, MLPConfig):
        yield (
            f"{where}.initialisation: found {initialisation!r}, but {architecture.called} "
            "networks initialise themselves; use default"
        )
