"""Conditions of a flow: a number known for each network, such as its accuracy, or the network's zoo."""

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

FACTS = {"accuracy": "validation_accuracy", "loss": "train_loss", "epoch": "epochs"}  # by variable
CONSTANT = 1e-12  # relative to the largest value; smaller standard deviations are rounding errors

logger = logging.getLogger(__name__)


def values_of(matrix: WeightMatrix, variable: Variable, key: str) -> Tensor:
    """Read the value of a condition's variable for every training network.

    Parameters
    ----------
    matrix
        The zoo's weights, or another representation of them, with what is recorded of each row.
    variable
        The variable.
    key
        The generator's configuration key, for messages.

    Returns
    -------
    The values, (n,) float64, in row order: validation accuracy, training loss, or number of epochs.

    Raises
    ------
    InputError
        If a network has no value.
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
    """Collect the conditions that a flow is fitted with.

    Parameters
    ----------
    matrix
        The zoo's weights, or another representation of them, with what is recorded of each row.
    condition
        The configured condition.
    left_out
        Which training networks are held out for validation, (n,) bool; None for none. Their values do not
        enter the standardisation.
    key
        The generator's configuration key, for messages.

    Returns
    -------
    The known values or zoos, and the network's input for each training network, (n, 1) float32: standardised
    values, or zoo indices.

    Raises
    ------
    InputError
        If a network has no value, if all values are the same, or if there are fewer than two zoos.
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
    """The ``zoos`` of the networks that a flow was fitted to; the velocity network receives their indices."""

    zoos: tuple[str, ...]

    @classmethod
    def of(cls, matrix: WeightMatrix, key: str) -> "KnownZoos":
        """Return the zoos of a matrix's training networks, in the order of their first rows.

        Raises
        ------
        InputError
            If a network's zoo is not recorded, or if there are fewer than two zoos.
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
        """Return the entries for the model file's metadata."""
        return {"condition": "zoo", "zoos": list(self.zoos)}

    @property
    def state(self) -> dict[str, Tensor]:
        """Return the arrays for the model file: none."""
        return {}

    @property
    def embedding(self) -> Embedding:
        """Return the constructor of the embedding of times and conditions."""
        return partial(CategoryEmbedding, categories=len(self.zoos))

    def numbers(self, zoos: Iterable[str | None]) -> Tensor:
        """Return the zoos' indices, (m, 1) float32."""
        return torch.tensor([[float(self.zoos.index(str(zoo)))] for zoo in zoos])

    def asked(self, sampling: FlowSampling, count: int) -> Tensor:
        """Return the index of the zoo that each of ``count`` samples is to belong to, (count, 1) float32."""
        return self.numbers(sampling.zoos_asked(self.zoos, count))

    def names(self, sampling: FlowSampling, count: int) -> list[str]:
        """Return the zoo that each of ``count`` samples is to belong to."""
        return sampling.zoos_asked(self.zoos, count)


@dataclass(frozen=True)
class KnownValues:
    """The variable's values for the ``networks`` that a flow was fitted to, (n,) float64, in original units.

    The velocity network receives standardised values.
    """

    variable: Variable
    networks: Tensor

    @classmethod
    def of(cls, variable: Variable, values: Tensor, key: str) -> "KnownValues":
        """Check that values can be standardised.

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
        """Return the entries for the model file's metadata."""
        return {"condition": self.variable}

    @property
    def state(self) -> dict[str, Tensor]:
        """Return the arrays for the model file."""
        return {"condition": self.networks}

    @property
    def embedding(self) -> Embedding:
        """Return the constructor of the embedding of times and conditions."""
        return ConditionEmbedding

    @property
    def best(self) -> float:
        """Return the highest accuracy, the lowest loss, or the last epoch."""
        return float(self.networks.min() if self.variable == "loss" else self.networks.max())

    def standardised(self, values: Tensor) -> Tensor:
        """Standardise ``values`` (m,) by the networks' mean and standard deviation, (m, 1) float32."""
        relative = (values.double() - self.networks.mean()) / self.networks.std(correction=0)
        return relative.float().unsqueeze(1)

    def asked(self, sampling: FlowSampling, count: int) -> Tensor:
        """Return the requested value of each of ``count`` samples, standardised, (count, 1) float32."""
        if sampling.condition == "training":
            draws = torch_generator("sample condition", sampling.seed)
            asked = self.networks[torch.randint(len(self.networks), (count,), generator=draws)]
        else:
            value = self.best if sampling.condition == "best" else float(sampling.condition)
            asked = torch.full((count,), value, dtype=torch.float64)
        logger.info(
            "%s: %.4g to %.4g requested; %.4g to %.4g among the networks that the flow was fitted to",
            *(_called(self.variable), asked.min(), asked.max(), self.networks.min(), self.networks.max()),
        )
        return self.standardised(asked)

    def names(self, sampling: FlowSampling, count: int) -> list[str]:  # noqa: ARG002
        """Return an empty list: samples are not requested by zoo."""
        return []


Known = KnownValues | KnownZoos


def read_known(description: Mapping[str, Any], state: MutableMapping[str, Tensor]) -> Known | None:
    """Restore the conditions of a saved flow.

    Parameters
    ----------
    description
        The model file's metadata.
    state
        The model file's arrays; those of the condition are removed.

    Returns
    -------
    The known values or zoos; None if the flow is unconditional.
    """
    variable = description.get("condition")
    if variable == "zoo":
        return KnownZoos(tuple(description["zoos"]))
    return KnownValues(variable, state.pop("condition").cpu()) if variable else None


def told(standardised: Tensor, condition: Condition, generator: torch.Generator) -> Tensor:
    """Drop conditions at random, as classifier-free guidance requires (Ho & Salimans 2022, algorithm 1).

    Parameters
    ----------
    standardised
        Conditions, (b, 1).
    condition
        The configured condition, whose ``dropout`` is the probability of dropping each one.
    generator
        Source of the random draws.

    Returns
    -------
    The conditions, (b, 1); NaN where they are dropped.
    """
    left_out = torch.rand(len(standardised), 1, generator=generator) < condition.dropout
    return standardised.masked_fill(left_out.to(standardised.device), torch.nan)


def _called(variable: Variable) -> str:
    return {"accuracy": "validation accuracy", "loss": "training loss", "epoch": "epoch"}[variable]
