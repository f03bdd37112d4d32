"""Networks trained from scratch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import model_validator

from dwf_steps.config.generators.base import Context, GeneratorConfig, NotNegative
from dwf_steps.config.section import Name, planning
from dwf_steps.config.zoo import ImportedZoo, TrainingConfig


class RetrainingConfig(GeneratorConfig):
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
    """Control: networks trained from scratch with the zoo's settings, from seeds that the zoo does not use,
    for a part of the zoo's training; not canonicalized."""

    implementation: ClassVar[str] = "dwf_steps.generators.retrained:Retrained"

    kind: Literal["retrained"]
    """Marks the generator as this control."""
    epochs: NotNegative | None = None
    """Passes over the training set; a fraction trains for a part of an epoch."""
    equal_cost_to: Name | None = None
    """Instead: train each network for as many seconds as this generator takes for one of its networks, its
    fit included, both as measured in this workflow."""

    @property
    def cost_matched(self) -> str | None:
        return self.equal_cost_to

    @model_validator(mode="after")
    def _one_of_two(self) -> RetrainedConfig:
        if (self.epochs is None) == (self.equal_cost_to is None):
            raise ValueError("give either 'epochs' or 'equal_cost_to', not both and not neither")
        return self

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        yield from super().problems_with_zoo(where, zoo, context)
        choices = [name for name, other in context.config.generators.items() if other.makes == "samples"]
        if self.equal_cost_to is not None and self.equal_cost_to not in choices:
            yield (
                f"{where}.equal_cost_to: {self.equal_cost_to!r} is no generator with a cost of its own; "
                f"expected one of {', '.join(choices)}"
            )

    @planning
    def epochs_trained(self, training: TrainingConfig) -> float:
        return training.epochs if self.epochs is None else self.epochs
