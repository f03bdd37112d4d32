"""Networks trained from scratch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import model_validator

from dwf_steps.config.generators.base import Context, GeneratorConfig, NotNegative
from dwf_steps.config.section import Name, planning
from dwf_steps.config.zoo import ImportedZoo, TrainingConfig


class RetrainingConfig(GeneratorConfig):
    """Settings shared by controls that train networks as the zoo's were."""

    makes: ClassVar[Literal["samples", "networks"]] = "networks"
    shows_training: ClassVar[bool] = True

    @property
    def reads_data(self) -> bool:
        return True

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        if isinstance(context.config.zoos[zoo], ImportedZoo):
            name = where.rpartition(".")[2]
            yield f"{where}: zoo {zoo!r} was imported: it has no training to repeat; leave {name} out"


class RetrainedConfig(RetrainingConfig):
    """Control: networks trained from scratch with the zoo's settings, for part of the zoo's training.

    Their seeds are not used in the zoo. They are not canonicalized.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.retrained:Retrained"

    kind: Literal["retrained"]
    """Selects this control."""
    epochs: NotNegative | None = None
    """Passes over the training set; a fraction trains for part of an epoch."""
    equal_cost_to: Name | None = None
    """Instead of `epochs`: train each network for as many seconds as this generator takes per network, its
    fit included, both as measured in this workflow."""

    @property
    def cost_matched(self) -> str | None:
        return self.equal_cost_to

    @model_validator(mode="after")
    def _one_of_two(self) -> RetrainedConfig:
        if (self.epochs is None) == (self.equal_cost_to is None):
            raise ValueError("give exactly one of 'epochs' and 'equal_cost_to'")
        return self

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        yield from super().problems_with_zoo(where, zoo, context)
        choices = [name for name, other in context.config.generators.items() if other.makes == "samples"]
        if self.equal_cost_to is not None and self.equal_cost_to not in choices:
            yield (
                f"{where}.equal_cost_to: {self.equal_cost_to!r} is not a generator that draws samples; "
                f"expected one of {', '.join(choices)}"
            )

    @planning
    def epochs_trained(self, training: TrainingConfig) -> float:
        return training.epochs if self.epochs is None else self.epochs
