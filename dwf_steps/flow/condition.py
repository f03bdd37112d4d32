"""What a flow is told of networks besides time and place: a number, such as their accuracy, or their zoo."""

import logging
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from dwf_steps.config.generators.flow import Condition
from dwf_steps.config.generators.flow_sampling import FlowSampling
from dwf_steps.flow.velocity import CategoryEmbedding, ConditionEmbedding, Embedding
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.row_facts import read_facts

Variable = Literal["accuracy", "loss", "epoch"]

FACTS = {"accuracy": "validation_accuracy", "loss": "train_loss", "epoch": "epochs"}  # by condition
CONSTANT = 1e-12  # of the largest value, below which deviations are rounding errors

logger = logging.getLogger(__name__)


def values_of(matrix: WeightMatrix, variable: Variable, key: str) -> Tensor:
    """Return what is known of the training networks, (n,) float64.

    Parameters
    ----------
    key
        The generator's key, for messages.

    Raises
    ------
    InputError
        If it is not known of one of them.
    """
    rows = matrix.rows[: matrix.n_training]
    values = [getattr(known, FACTS[variable]) for known in read_facts(matrix)[: len(rows)]]
    if missing := [row.name for row, value in zip(rows, values, strict=True) if value is None]:
        others = " or ".join(repr(other) for other in FACTS if other != variable)
        raise InputError(
            f"{key}.condition.variable: found no {_called(variable)} of {len(missing)} of {len(rows)} "
            f"training networks (the first: {missing[0]!r}) in {matrix.path}, expected a finite number of "
            f"each; condition on {others}, or leave condition out"
        )
    return torch.tensor(values, dtype=torch.float64)


def known_of(
    matrix: WeightMatrix, condition: Condition, left_out: Tensor | None, key: str
) -> tuple["Known", Tensor]:
    """Return what is known of the training networks of a fit, and what it is told of each, (n, 1) float32.

    Parameters
    ----------
    left_out
        Which networks it never sees, (n,) bool.
    key
        The generator's key, for messages.

    Raises
    ------
    InputError
        If it is not known of one of them, or the same of all.
    """
    if condition.variable == "zoo":
        zoos = KnownZoos.of(matrix, key)
        return zoos, zoos.numbers(known.zoo for known in read_facts(matrix)[: matrix.n_training])
    values = values_of(matrix, condition.variable, key)
    fitted = values if left_out is None else values[~left_out]
    known = KnownValues.of(condition.variable, fitted, key)
    return known, known.standardised(values)


@dataclass(frozen=True)
class KnownZoos:
    """The ``zoos`` that the networks are of which a flow was fitted to; it is told their numbers."""

    zoos: tuple[str, ...]

    @classmethod
    def of(cls, matrix: WeightMatrix, key: str) -> "KnownZoos":
        """Return the zoos of a matrix's training networks, in row order.

        Raises
        ------
        InputError
            If the networks are not those of several zoos.
        """
        zoos = dict.fromkeys(known.zoo for known in read_facts(matrix)[: matrix.n_training])
        named = tuple(zoo for zoo in zoos if zoo is not None)
        if len(named) < len(zoos) or len(named) < 2:
            raise InputError(
                f"{key}.condition.variable: found {' and '.join(named) or 'no zoo'} in {matrix.path}, "
                "expected the networks of several zoos; fit the flow in a zoo of zoos, `{zoos: [one, two]}`, "
                "or leave condition out"
            )
        return cls(named)

    @property
    def description(self) -> dict[str, Any]:
        """Return what a model's file says of them."""
        return {"condition": "zoo", "zoos": list(self.zoos)}

    @property
    def state(self) -> dict[str, Tensor]:
        """Return the arrays that a model's file has of them: none."""
        return {}

    @property
    def embedding(self) -> Embedding:
        """Return what the velocity network embeds their numbers by."""
        return partial(CategoryEmbedding, categories=len(self.zoos))

    def numbers(self, zoos: Iterable[str | None]) -> Tensor:
        """Return the zoos' numbers, (m, 1) float32."""
        return torch.tensor([[float(self.zoos.index(str(zoo)))] for zoo in zoos])

    def asked(self, sampling: FlowSampling, count: int) -> Tensor:
        """Return the number of the zoo that each of ``count`` samples is asked for, (count, 1) float32."""
        return self.numbers(sampling.zoos_asked(self.zoos, count))

    def names(self, sampling: FlowSampling, count: int) -> list[str]:
        """Return the zoo that each of ``count`` samples is asked for."""
        return sampling.zoos_asked(self.zoos, count)


@dataclass(frozen=True)
class KnownValues:
    """What is known of the ``networks`` that a flow was fitted to, (n,) float64 in its own units; the flow is
    told standardised values."""

    variable: Variable
    networks: Tensor

    @classmethod
    def of(cls, variable: Variable, values: Tensor, key: str) -> "KnownValues":
        """Return values that can be standardised.

        Raises
        ------
        InputError
            If all are the same.
        """
        if values.std(correction=0) <= CONSTANT * values.abs().max():
            raise InputError(
                f"{key}.condition.variable: all {len(values)} networks that the flow is fitted to have the "
                f"same {_called(variable)}, {values[0]:g}, expected values that differ; condition on "
                f"{' or '.join(repr(other) for other in FACTS if other != variable)}, or leave condition out"
            )
        return cls(variable, values)

    @property
    def description(self) -> dict[str, Any]:
        """Return what a model's file says of them."""
        return {"condition": self.variable}

    @property
    def state(self) -> dict[str, Tensor]:
        """Return the arrays that a model's file has of them."""
        return {"condition": self.networks}

    @property
    def embedding(self) -> Embedding:
        """Return what the velocity network embeds them by."""
        return ConditionEmbedding

    @property
    def best(self) -> float:
        """Return the highest accuracy, the lowest loss, the last epoch."""
        return float(self.networks.min() if self.variable == "loss" else self.networks.max())

    def standardised(self, values: Tensor) -> Tensor:
        """Return ``values`` (m,) relative to the mean and in standard deviations of the known ones, (m, 1)
        float32."""
        relative = (values.double() - self.networks.mean()) / self.networks.std(correction=0)
        return relative.float().unsqueeze(1)

    def asked(self, sampling: FlowSampling, count: int) -> Tensor:
        """Return what each of ``count`` samples is asked for, standardised, (count, 1) float32."""
        if sampling.condition == "training":
            draws = torch_generator("sample condition", sampling.seed)
            asked = self.networks[torch.randint(len(self.networks), (count,), generator=draws)]
        else:
            value = self.best if sampling.condition == "best" else float(sampling.condition)
            asked = torch.full((count,), value, dtype=torch.float64)
        logger.info(
            "%s: asked for %.4g to %.4g; networks that the flow was fitted to have %.4g to %.4g",
            *(_called(self.variable), asked.min(), asked.max(), self.networks.min(), self.networks.max()),
        )
        return self.standardised(asked)

    def names(self, sampling: FlowSampling, count: int) -> list[str]:  # noqa: ARG002
        """Return the zoo that each sample is asked for: none is."""
        return []


Known = KnownValues | KnownZoos


def read_known(description: Mapping[str, Any], state: MutableMapping[str, Tensor]) -> Known | None:
    """Return what a model's file says of the networks that it was fitted to, if anything; take its arrays out
    of ``state``."""
    variable = description.get("condition")
    if variable == "zoo":
        return KnownZoos(tuple(description["zoos"]))
    return KnownValues(variable, state.pop("condition").cpu()) if variable else None


def told(standardised: Tensor, condition: Condition, generator: torch.Generator) -> Tensor:
    """Return conditions (b, 1) with each left out, NaN, at the probability ``condition.dropout``."""
    left_out = torch.rand(len(standardised), 1, generator=generator) < condition.dropout
    return standardised.masked_fill(left_out.to(standardised.device), torch.nan)


def _called(variable: Variable) -> str:
    return {"accuracy": "validation accuracy", "loss": "training loss", "epoch": "epoch"}[variable]
