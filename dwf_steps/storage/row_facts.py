"""Facts about the networks of a matrix besides their weights, stored as an attribute of its array."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from dwf_steps.storage.manifest import TRAJECTORY, Record
from dwf_steps.storage.matrix import WeightMatrix

ATTRIBUTE = "facts"


@dataclass(frozen=True)
class RowFacts:
    """Facts about one network; None if unknown or not finite.

    Attributes
    ----------
    validation_accuracy
        Its accuracy on the validation examples, from 0 to 1.
    train_loss
        Its mean loss on the training examples.
    epochs
        For how many epochs a checkpoint was trained.
    zoo
        The zoo that it belongs to, if the matrix joins several.
    """

    validation_accuracy: float | None = None
    train_loss: float | None = None
    epochs: float | None = None
    zoo: str | None = None

    @classmethod
    def of(cls, record: Record | None) -> "RowFacts":
        """Return the facts in a zoo's manifest; none if it has no record of the network."""
        if record is None:
            return cls()
        names = ["validation_accuracy", "train_loss", *(["epochs"] if TRAJECTORY in record.facts else [])]
        stated = {name: record.facts.get(name, math.nan) for name in names}
        return cls(**{name: value for name, value in stated.items() if math.isfinite(value)})


def write_facts(matrix: WeightMatrix, records: Mapping[str, Record]) -> None:
    """Store a zoo's facts about the networks of a matrix.

    Parameters
    ----------
    matrix
        The matrix, opened for writing.
    records
        The records of the zoo's manifests, by network.
    """
    facts = [RowFacts.of(records.get(row.name)) for row in matrix.rows]
    matrix.array.attrs[ATTRIBUTE] = [asdict(known) for known in facts]


def copy_facts(source: WeightMatrix, matrix: WeightMatrix) -> None:
    """Copy the facts about networks from one matrix to another with the same rows.

    Parameters
    ----------
    source
        The matrix to read from.
    matrix
        The matrix to write to.
    """
    matrix.array.attrs[ATTRIBUTE] = [asdict(known) for known in read_facts(source)]


def join_facts(matrix: WeightMatrix, zoos: Mapping[str, WeightMatrix]) -> None:
    """Store the facts about the networks of several zoos in their joint matrix.

    Parameters
    ----------
    matrix
        The joint matrix: the training rows of all zoos, zoo by zoo, then their held-out rows.
    zoos
        The matrix of each zoo by name, in the same order.
    """
    known = {zoo: [replace(facts, zoo=zoo) for facts in read_facts(source)] for zoo, source in zoos.items()}
    kept = [facts for zoo, source in zoos.items() for facts in known[zoo][: source.n_training]]
    held_out = [facts for zoo, source in zoos.items() for facts in known[zoo][source.n_training :]]
    matrix.array.attrs[ATTRIBUTE] = [asdict(facts) for facts in kept + held_out]


def read_facts(matrix: WeightMatrix) -> Sequence[RowFacts]:
    """Read the facts about the networks of a matrix.

    Parameters
    ----------
    matrix
        The matrix.

    Returns
    -------
    The facts about each row's network, (n,); without content if none were stored.
    """
    found = matrix.array.attrs.get(ATTRIBUTE)
    return [RowFacts(**known) for known in found] if found else [RowFacts()] * len(matrix.rows)  # type: ignore[union-attr, arg-type]


def facts_as_text(matrix: WeightMatrix) -> str:
    """Return the facts about all networks as text, to be part of the identity of results that depend on them.

    Parameters
    ----------
    matrix
        The matrix.

    Returns
    -------
    JSON, a list with an object for each row.
    """
    return json.dumps([asdict(known) for known in read_facts(matrix)])
