"""What a zoo knows of the networks of a matrix besides their weights, kept as an attribute of its array."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from dwf_steps.storage.manifest import TRAJECTORY, Record
from dwf_steps.storage.matrix import WeightMatrix

ATTRIBUTE = "facts"


@dataclass(frozen=True)
class RowFacts:
    """A network's accuracy on the validation examples, its mean loss on the training examples, of a
    checkpoint how many epochs it was trained, and of a zoo of several which one it is of; None where that is
    unknown or not finite."""

    validation_accuracy: float | None = None
    train_loss: float | None = None
    epochs: float | None = None
    zoo: str | None = None

    @classmethod
    def of(cls, record: Record | None) -> "RowFacts":
        """Return what a zoo's manifest states; nothing of a network that it has no record of."""
        if record is None:
            return cls()
        names = ["validation_accuracy", "train_loss", *(["epochs"] if TRAJECTORY in record.facts else [])]
        stated = {name: record.facts.get(name, math.nan) for name in names}
        return cls(**{name: value for name, value in stated.items() if math.isfinite(value)})


def write_facts(matrix: WeightMatrix, records: Mapping[str, Record]) -> None:
    """Keep with a matrix what ``records``, by name, state of its networks."""
    facts = [RowFacts.of(records.get(row.name)) for row in matrix.rows]
    matrix.array.attrs[ATTRIBUTE] = [asdict(known) for known in facts]


def copy_facts(source: WeightMatrix, matrix: WeightMatrix) -> None:
    """Keep with a matrix what is known of the same networks, the rows of another."""
    matrix.array.attrs[ATTRIBUTE] = [asdict(known) for known in read_facts(source)]


def join_facts(matrix: WeightMatrix, zoos: Mapping[str, WeightMatrix]) -> None:
    """Keep with a matrix what is known of the networks of several ``zoos``, and which one each is of: first
    of all training rows, then of all held-out ones."""
    known = {zoo: [replace(facts, zoo=zoo) for facts in read_facts(source)] for zoo, source in zoos.items()}
    kept = [facts for zoo, source in zoos.items() for facts in known[zoo][: source.n_training]]
    held_out = [facts for zoo, source in zoos.items() for facts in known[zoo][source.n_training :]]
    matrix.array.attrs[ATTRIBUTE] = [asdict(facts) for facts in kept + held_out]


def read_facts(matrix: WeightMatrix) -> Sequence[RowFacts]:
    """Return what is known of each row's network; nothing where that was never written."""
    found = matrix.array.attrs.get(ATTRIBUTE)
    return [RowFacts(**known) for known in found] if found else [RowFacts()] * len(matrix.rows)  # type: ignore[union-attr, arg-type]


def facts_as_text(matrix: WeightMatrix) -> str:
    """Return what is known of all networks as text, part of the identity of what is made of it."""
    return json.dumps([asdict(known) for known in read_facts(matrix)])
