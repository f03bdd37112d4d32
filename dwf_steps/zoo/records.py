"""What is known of a zoo's networks, over all its shards, in the order of the weight matrix."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dwf_steps.storage.manifest import Manifest, Record


@dataclass(frozen=True)
class ZooRecords:
    """Training networks first, held-out ones after them.

    Attributes
    ----------
    records
        n + h networks with their scores.
    wrong
        (n + h, m) bool: which of the m test items each one misclassifies.
    """

    records: list[Record]
    wrong: np.ndarray

    @classmethod
    def read(cls, manifests: list[Path], predictions: list[Path]) -> "ZooRecords":
        """Read the manifests and the test predictions of all shards, given in the same order."""
        records = [record for path in manifests for record in Manifest.read(path).networks]
        wrong = np.concatenate([_wrong(path) for path in predictions])
        order = sorted(range(len(records)), key=lambda i: records[i].held_out)
        return cls([records[i] for i in order], wrong[order])

    @property
    def n_training(self) -> int:
        return sum(not record.held_out for record in self.records)


def _wrong(path: Path) -> np.ndarray:
    with np.load(path) as stored:
        return stored["predictions"] != stored["targets"]
