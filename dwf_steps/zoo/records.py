"""What is known of a zoo's networks, over all its shards, in the order of the weight matrix."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dwf_steps.storage.arrays import load_arrays
from dwf_steps.storage.manifest import Manifest, Record
from dwf_steps.storage.matrix import Row


@dataclass(frozen=True)
class ZooRecords:
    """The networks of a zoo, in the order of the weight matrix' rows.

    Attributes
    ----------
    records
        n networks with their scores.
    wrong
        (n, m) bool: which of the m test items each one misclassifies.
    """

    records: list[Record]
    wrong: np.ndarray

    @classmethod
    def read(cls, manifests: list[Path], predictions: list[Path], rows: list[Row]) -> "ZooRecords":
        """Read the manifests and the test predictions of all shards, given in the same order."""
        records = [record for path in manifests for record in Manifest.read(path).networks]
        wrong = np.concatenate([_wrong(path) for path in predictions])
        position = {record.name: i for i, record in enumerate(records)}
        order = [position[row.name] for row in rows]
        return cls([records[i] for i in order], wrong[order])


def _wrong(path: Path) -> np.ndarray:
    stored = load_arrays(path, ["predictions", "targets"])
    return stored["predictions"] != stored["targets"]
