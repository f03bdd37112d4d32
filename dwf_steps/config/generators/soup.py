"""Means of training networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dwf_steps.config.generators.base import Context, GeneratorConfig
from dwf_steps.config.section import planning
from dwf_steps.config.zoo import n_training


class SoupConfig(GeneratorConfig):
    """Control: the mean of several randomly drawn training networks (Wortsman et al. 2022)."""

    implementation: ClassVar[str] = "dwf_steps.generators.soup:Soup"

    kind: Literal["soup"]
    """Selects this control."""
    networks: Annotated[int, Field(ge=1)] = 16
    """Number of networks that are averaged."""

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        if self.networks > n_training(context.config.zoos[zoo]):
            yield (
                f"{where}.networks: found {self.networks}, but zoo {zoo!r} has "
                f"{n_training(context.config.zoos[zoo])} training networks; average at most these"
            )
