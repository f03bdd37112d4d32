"""Compare each network of the zoo with the training networks, leaving itself out."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.architectures import build
from dwf_steps.metrics.data_copying import cell_count, kmeans_cells
from dwf_steps.metrics.ensembles import ensemble_measures
from dwf_steps.metrics.function import accuracies_by_class, function_measures
from dwf_steps.metrics.leave_one_out import share_in_span, without_relatives
from dwf_steps.metrics.products import Products
from dwf_steps.metrics.realign import realigned_to_training
from dwf_steps.metrics.sets import neighbourhood_radii
from dwf_steps.metrics.weights import training_weight_measures, weight_measures
from dwf_steps.pipeline.settings.evaluate import EvaluateZoo
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.progress import progress
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.arrays import evenly
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.outputs import Outputs
from dwf_steps.subspace.gram import distances_among, read_gram
from dwf_steps.tasks import task_of

BLOCK_BYTES = 2**27  # the size of a block of pairwise values of some training networks with all others


def evaluate_zoo(
    settings: EvaluateZoo,
    outputs: list[Path],
    weights: Path,
    gram: list[Path],
    output: Path,
    layers: Path,
    classes: Path,
    ensembles: Path,
    threads: int = 1,
) -> None:
    """Evaluate the zoo's networks in the same way as generated ones, as the baseline for these.

    Held-out networks are compared with all training networks, training networks with those of other training
    runs. Rows are in the order of the weight matrix. Training networks also have ``mean_distance`` to the
    others, and ``weights_radius`` and ``outputs_radius``, the distances to their k-th nearest neighbour.
    ``weights_cell`` and ``outputs_cell`` number the cells of `data_copying_in_cells`; all are 0 if there are
    too few held-out networks for more than one cell.

    Parameters
    ----------
    settings
        The architecture, and what to measure.
    outputs
        Predictions of the zoo's networks on the test set, after the generated networks' recalibration.
    weights
        The weight matrix.
    gram
        The parts of its Gram matrix, ``gram/part-{k}.npz``.
    output
        ``metrics.csv``, a row for each network.
    layers
        ``layers.csv``: for each realigned network and layer, the smallest distance to a training network.
    classes
        ``classes.csv``: for each network and class, the accuracy on the test examples of this class.
    ensembles
        ``ensembles.csv``: scores of ensembles of training networks, a row for each size.
    threads
        Threads for matching networks to training networks.

    Raises
    ------
    InputError
        If a file is damaged, or a network's predictions are missing.
    """
    matrix = WeightMatrix.open(weights)
    names, n = [row.name for row in matrix.rows], matrix.n_training
    zoo, products = Outputs.load(outputs), read_gram(gram).products
    training = zoo.of(names[:n])
    trajectories = matrix.trajectories
    count = cell_count(len(names) - n)
    apart = np.empty((n, n) if count > 1 else (0, 0), np.float32)
    neighbours = settings.evaluation.neighbours
    frame = pd.concat(_training_measures(training, products[:n, :n], trajectories, neighbours, apart))
    cells = _cells(products[:n, :n], apart, count, settings.evaluation.seed)
    frame = frame.assign(**cells)
    if names[n:]:
        centred = Products(products[:n, :n], products[n:, :n], products[n:, n:])
        frame = pd.concat([frame, _held_out_measures(zoo.of(names[n:]), training, centred, cells)])
    frame["nearest_accuracy"] = frame.accuracy.loc[frame.nearest].to_numpy()
    realigned = _realigned(settings, matrix, threads)
    frame["realigned_distance"] = realigned.groupby("network").total.first()
    frame.insert(0, "held_out", [row.held_out for row in matrix.rows])
    write_csv(output, frame.reset_index())
    task = task_of(zoo.task, zoo.tolerance, zoo.scale)
    by_class = accuracies_by_class(zoo, task.wrong(zoo.predictions, zoo.targets))
    write_csv(classes, by_class.join(frame.held_out, on="network"))
    by_layer = realigned.drop(columns="total").join(frame.held_out, on="network")
    write_csv(layers, by_layer[["network", "held_out", "layer", "distance"]])
    write_csv(ensembles, ensemble_measures(training, settings.evaluation, trajectories))


def _training_measures(
    training: Outputs, gram: np.ndarray, trajectories: np.ndarray, neighbours: int, apart: np.ndarray
) -> Iterator[pd.DataFrame]:
    """Yield the measures of n training networks, some at a time.

    In this way the Gram matrix is the only (n, n) array in memory. Distances between predictions are written
    into ``apart`` if it has room for them.
    """
    n, shares = len(training), share_in_span(gram, trajectories)
    chunk_size = max(1, BLOCK_BYTES // (8 * n))
    for start in progress(range(0, n, chunk_size), "group of training networks"):
        rows = slice(start, min(start + chunk_size, n))
        some = training.of(training.names[rows].tolist())
        frame = function_measures(some, training, trajectories, rows)
        weights = training_weight_measures(gram, shares, training.names, trajectories, rows, neighbours)
        distances = task_of(some.task, some.tolerance, some.scale).distances(
            some.predictions, training.predictions
        )
        if len(apart):
            apart[rows] = distances
        others = without_relatives(distances, trajectories, rows=rows)
        frame["prediction_distance"] = others.min(axis=1)
        frame["outputs_radius"] = neighbourhood_radii(others, neighbours)
        yield _joined(frame, weights)


def _cells(gram: np.ndarray, apart: np.ndarray, count: int, seed: int) -> dict[str, np.ndarray]:
    """Return the cells of n training networks by weights and by predictions, (n,) each.

    Parameters
    ----------
    gram
        The Gram matrix of their weights, (n, n).
    apart
        Distances between their predictions, (n, n); used, and overwritten, if there is more than one cell.
    count
        The largest number of cells.
    seed
        Of the clustering.
    """
    if count == 1:
        return {name: np.zeros(len(gram), dtype=np.intp) for name in ("weights_cell", "outputs_cell")}
    draws, distances = numpy_generator("cells", seed), distances_among(gram)
    weights_cell = kmeans_cells(np.square(distances, out=distances), count, draws)
    del distances
    outputs_cell = kmeans_cells(np.square(apart, out=apart), count, draws)
    return {"weights_cell": weights_cell, "outputs_cell": outputs_cell}


def _held_out_measures(
    held_out: Outputs, training: Outputs, products: Products, cells: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Return the measures of held-out networks; each is in the cell of its nearest training network."""
    frame = function_measures(held_out, training)
    apart = task_of(held_out.task, held_out.tolerance, held_out.scale).distances(
        held_out.predictions, training.predictions
    )
    frame["prediction_distance"] = apart.min(axis=1)
    frame["outputs_cell"] = cells["outputs_cell"][apart.argmin(axis=1)]
    frame["weights_cell"] = cells["weights_cell"][products.distances_to_training.argmin(axis=1)]
    return _joined(frame, weight_measures(products, training.names))


def _joined(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    return frame.join(other.set_index(frame.index))


def _realigned(settings: EvaluateZoo, matrix: WeightMatrix, threads: int) -> pd.DataFrame:
    """Return the smallest distances to a training network after matching.

    Evenly spaced training networks and as many held-out networks are matched. There is a row for each network
    and layer, with the ``distance`` in this layer alone and the ``total`` of the network.
    """
    n, count = matrix.n_training, len(matrix.rows)
    some, held_out = (evenly(settings.evaluation.realigned, number) for number in (n, count - n))
    if not len(some):
        return pd.DataFrame({"network": pd.Series(dtype=str), "layer": "", "distance": [], "total": []})
    chosen = np.r_[some, n + held_out]
    related = np.zeros((len(chosen), n), bool)
    related[: len(some)] = matrix.trajectories[some][:, None] == matrix.trajectories
    architecture, networks = build(settings.architecture), matrix.networks(chosen)
    realigned = realigned_to_training(architecture, networks, matrix, threads, related)
    frame = realigned.by_layer([matrix.rows[row].name for row in chosen])
    return frame.assign(total=np.repeat(realigned.nearest, len(realigned.layers)))


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(
        __doc__, "weights", "output", "layers", "classes", "ensembles", several=["gram", "outputs"]
    )
    options.add_argument("--threads", type=int, default=1)
    args = options.parse_args()
    settings = parse_settings(EvaluateZoo, args.settings)
    evaluate_zoo(
        settings,
        args.outputs,
        args.weights,
        args.gram,
        args.output,
        args.layers,
        args.classes,
        args.ensembles,
        args.threads,
    )


if __name__ == "__main__":
    run(main)
