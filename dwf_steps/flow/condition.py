"""What a flow is told of networks besides time and place: one number of each, such as its accuracy."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dwf_steps.config.generators.flow import Condition, FlowSampling
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.matrix import Row

On = Literal["accuracy", "loss", "epoch"]

FACTS = {"accuracy": "validation_accuracy", "loss": "train_loss", "epoch": "epochs"}  # of a row, by condition
CONSTANT = 1e-12  # of the largest value, below which deviations are rounding errors

logger = logging.getLogger(__name__)


def values_of(rows: Sequence[Row], on: On, key: str, matrix: str) -> Tensor:
    """Return what ``rows`` state of their networks, (n,) float64.

    Parameters
    ----------
    key, matrix
        The generator's key and the matrix' file, for messages.

    Raises
    ------
    InputError
        If a row states nothing.
    """
    values = [getattr(row, FACTS[on]) for row in rows]
    if missing := [row.name for row, value in zip(rows, values, strict=True) if value is None]:
        raise InputError(
            f"{key}.condition.on: found no {_called(on)} of {len(missing)} of {len(rows)} training networks "
            f"(the first: {missing[0]!r}) in {matrix}, expected a finite number of each; condition on "
            f"{' or '.join(repr(other) for other in FACTS if other != on)}, or leave condition out"
        )
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True)
class KnownValues:
    """The ``values`` (n,) float64 that a flow was told of the networks that it was fitted to, in their own
    units; the flow is told standardised ones."""

    on: On
    values: Tensor

    @classmethod
    def of(cls, on: On, values: Tensor, key: str) -> "KnownValues":
        """Return values that can be standardised.

        Raises
        ------
        InputError
            If all are the same.
        """
        if values.std(correction=0) <= CONSTANT * values.abs().max():
            raise InputError(
                f"{key}.condition.on: all {len(values)} networks that the flow is fitted to have the same "
                f"{_called(on)}, {values[0]:g}, expected values that differ; condition on "
                f"{' or '.join(repr(other) for other in FACTS if other != on)}, or leave condition out"
            )
        return cls(on, values)

    @property
    def best(self) -> float:
        """Return the highest accuracy, the lowest loss, the last epoch."""
        return float(self.values.min() if self.on == "loss" else self.values.max())

    def standardised(self, values: Tensor) -> Tensor:
        """Return ``values`` (m,) relative to the mean and in standard deviations of the known ones, (m, 1)
        float32."""
        relative = (values.double() - self.values.mean()) / self.values.std(correction=0)
        return relative.float().unsqueeze(1)

    def asked(self, sampling: FlowSampling) -> Tensor:
        """Return what each sample is asked for, standardised, (s, 1) float32."""
        if sampling.condition == "training":
            draws = torch_generator("sample condition", sampling.seed)
            asked = self.values[torch.randint(len(self.values), (sampling.samples,), generator=draws)]
        else:
            value = self.best if sampling.condition == "best" else float(sampling.condition)
            asked = torch.full((sampling.samples,), value, dtype=torch.float64)
        logger.info(
            "%s: asked for %.4g to %.4g; networks that the flow was fitted to have %.4g to %.4g",
            *(_called(self.on), asked.min(), asked.max(), self.values.min(), self.values.max()),
        )
        return self.standardised(asked)


def told(standardised: Tensor, condition: Condition, generator: torch.Generator) -> Tensor:
    """Return conditions (b, 1) with each left out, NaN, at the probability ``condition.dropout``."""
    left_out = torch.rand(len(standardised), 1, generator=generator) < condition.dropout
    return standardised.masked_fill(left_out.to(standardised.device), torch.nan)


def _called(on: On) -> str:
    return {"accuracy": "validation accuracy", "loss": "training loss", "epoch": "epoch"}[on]
