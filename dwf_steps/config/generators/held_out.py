"""Held-out networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from dwf_steps.config.generators.base import Context, GeneratorConfig
from dwf_steps.config.section import planning
from dwf_steps.config.zoo import n_held_out


class HeldOutConfig(GeneratorConfig):
    """Control: the held-out networks, as examples of genuinely new networks."""

    implementation: ClassVar[str] = "dwf_steps.generators.held_out:HeldOut"
    shows_training: ClassVar[bool] = True
    costs_training: ClassVar[bool] = True

    kind: Literal["held_out"]
    """Selects this control."""

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        if self.sampling.samples > n_held_out(context.config.zoos[zoo]):
            yield (
                f"{where}.sampling.samples: found {self.sampling.samples}, but zoo {zoo!r} holds out "
                f"{n_held_out(context.config.zoos[zoo])} networks; ask for at most these, or raise "
                f"zoos.{zoo}.held_out"
            )
