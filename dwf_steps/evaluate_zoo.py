"""The zoo's own metrics: each network against the training networks, itself left out."""

from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.metrics.novelty import wrong_set_iou
from dwf_steps.step import parser, run
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.gram import read_gram, squared_distances
from dwf_steps.zoo.records import ZooRecords


def evaluate_zoo(
    manifests: list[Path], predictions: list[Path], weights: Path, gram: list[Path], output: Path
) -> None:
    """Write one row a network, training networks first, in the order of the weight matrix.

    Held-out networks are compared with all training networks, training networks with all others: the
    values that a generated network's are read against.
    """
    matrix = WeightMatrix.open(weights)
    zoo, n = ZooRecords.read(manifests, predictions, matrix.rows), matrix.n_training
    distances = np.sqrt(squared_distances(read_gram(gram).products)[:, :n])
    overlap = wrong_set_iou(zoo.wrong, zoo.wrong[:n])
    itself = np.arange(n)
    distances[itself, itself], overlap[itself, itself] = np.inf, -np.inf
    frame = pd.DataFrame(
        {
            "network": [row.name for row in matrix.rows],
            "held_out": [row.held_out for row in matrix.rows],
            "accuracy": [record.facts["test_accuracy"] for record in zoo.records],
            "loss": [record.facts["test_loss"] for record in zoo.records],
            "max_iou": overlap.max(axis=1),
            "nn_distance": distances.min(axis=1),
            "nearest": [matrix.rows[i].name for i in distances.argmin(axis=1)],
        }
    )
    with replacing(output) as partial:
        frame.to_csv(partial, index=False)


def main() -> None:
    options = parser(__doc__, "weights", "output", settings=False)
    options.add_argument("--gram", required=True, nargs="+", type=Path)
    options.add_argument("--manifests", required=True, nargs="+", type=Path)
    options.add_argument("--predictions", required=True, nargs="+", type=Path)
    args = options.parse_args()
    evaluate_zoo(args.manifests, args.predictions, args.weights, args.gram, args.output)


if __name__ == "__main__":
    run(main)
