"""The zoo's own measures: each network against the training networks, itself left out."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.architectures import build
from dwf_steps.metrics.ensembles import ensemble_measures
from dwf_steps.metrics.function import function_measures
from dwf_steps.metrics.leave_one_out import share_in_span, without_relatives
from dwf_steps.metrics.products import Products
from dwf_steps.metrics.realign import realigned_to_training
from dwf_steps.metrics.sets import neighbourhood_radii
from dwf_steps.metrics.weights import training_weight_measures, weight_measures
from dwf_steps.pipeline.settings.evaluate import EvaluateZoo
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.arrays import evenly
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.outputs import Outputs
from dwf_steps.subspace.gram import read_gram
from dwf_steps.tasks import task_of

BLOCK_BYTES = 2**27  # of one kind of values of some training networks with all others


def evaluate_zoo(
    settings: EvaluateZoo,
    outputs: list[Path],
    weights: Path,
    gram: list[Path],
    output: Path,
    ensembles: Path,
    threads: int = 1,
) -> None:
    """Write one row a network, training networks first, in the order of the weight matrix, and what ensembles
    of training networks score.

    Held-out networks are compared with all training networks, training networks with all of other trainings:
    the values that a generated network's are read against. Training networks also have their
    ``mean_distance`` to the others, and ``weights_radius`` and ``outputs_radius``, the distances to their
    k-th neighbour.
    """
    matrix = WeightMatrix.open(weights)
    names, n = [row.name for row in matrix.rows], matrix.n_training
    zoo, products = Outputs.load(outputs), read_gram(gram).products
    training = zoo.of(names[:n])
    trajectories = matrix.trajectories
    parts = list(_training_measures(training, products[:n, :n], trajectories, settings.evaluation.neighbours))
    if names[n:]:
        centred = Products(products[:n, :n], products[n:, :n], products[n:, n:])
        held_out = function_measures(zoo.of(names[n:]), training)
        parts.append(_joined(held_out, weight_measures(centred, training.names)))
    frame = pd.concat(parts)
    frame["realigned_distance"] = _realigned_distances(settings, matrix, threads)
    frame.insert(0, "held_out", [row.held_out for row in matrix.rows])
    write_csv(output, frame.reset_index())
    write_csv(ensembles, ensemble_measures(training, settings.evaluation, trajectories))


def _training_measures(
    training: Outputs, gram: np.ndarray, trajectories: np.ndarray, neighbours: int
) -> Iterator[pd.DataFrame]:
    """Yield what is known of n training networks, some at a time, so that (n, n) values are held once, the
    Gram matrix."""
    n, shares = len(training), share_in_span(gram, trajectories)
    chunk_size = max(1, BLOCK_BYTES // (8 * n))
    for start in progress(range(0, n, chunk_size), "group of training networks"):
        rows = slice(start, min(start + chunk_size, n))
        some = training.of(training.names[rows].tolist())
        frame = function_measures(some, training, trajectories, rows)
        weights = training_weight_measures(gram, shares, training.names, trajectories, rows, neighbours)
        apart = task_of(some.task, some.tolerance, some.scale).distances(
            some.predictions, training.predictions
        )
        apart = without_relatives(apart, trajectories, rows=rows)
        frame["outputs_radius"] = neighbourhood_radii(apart, neighbours)
        yield _joined(frame, weights)


def _joined(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    return frame.join(other.set_index(frame.index))


def _realigned_distances(settings: EvaluateZoo, matrix: WeightMatrix, threads: int) -> np.ndarray:
    """Return the smallest distance to a training network that each was matched to anew, of some training
    networks, evenly spaced, and of as many held-out ones; NaN for the others."""
    n, total = matrix.n_training, len(matrix.rows)
    some, held_out = (evenly(settings.evaluation.realigned, count) for count in (n, total - n))
    nearest = np.full(total, np.nan)
    if len(some):
        chosen = np.r_[some, n + held_out]
        architecture, networks = build(settings.architecture), matrix.networks(chosen)
        distances = realigned_to_training(architecture, networks, matrix, threads)
        own = slice(len(some))
        distances[own] = without_relatives(distances[own], matrix.trajectories, rows=some)
        nearest[chosen] = distances.min(axis=1)
    return nearest


def main() -> None:
    options = parser(__doc__, "weights", "output", "ensembles", several=["gram", "outputs"])
    options.add_argument("--threads", type=int, default=1)
    args = options.parse_args()
    settings = parse_settings(EvaluateZoo, args.settings)
    evaluate_zoo(settings, args.outputs, args.weights, args.gram, args.output, args.ensembles, args.threads)


if __name__ == "__main__":
    run(main)
