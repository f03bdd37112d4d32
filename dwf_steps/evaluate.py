"""Evaluate a generator's networks: how accurate, and how new."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.architectures import build
from dwf_steps.config.evaluation import MeasurementConfig
from dwf_steps.datasets.splits import Split
from dwf_steps.generators.samples import sample_names
from dwf_steps.metrics.barrier import BARRIER_EXAMPLES, midpoint_barrier
from dwf_steps.metrics.data_copying import data_copying, data_copying_in_cells
from dwf_steps.metrics.ensembles import ensemble_measures
from dwf_steps.metrics.function import accuracies_by_class, function_measures
from dwf_steps.metrics.neighbours import Neighbours
from dwf_steps.metrics.novelty import wrong_set_iou
from dwf_steps.metrics.products import Products, stream_products
from dwf_steps.metrics.realign import RealignedDistances, realigned_to_training
from dwf_steps.metrics.sets import (
    mean_over_pairs,
    own_radii,
    prdc,
    wasserstein_to_zoo,
)
from dwf_steps.metrics.weights import weight_measures
from dwf_steps.pipeline.settings.evaluate import Evaluate
from dwf_steps.representation.loading import Probed, load_basis
from dwf_steps.representation.responses import encode
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.numbered import numbered
from dwf_steps.runtime.progress import progress
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.arrays import load_record, padded, save_record
from dwf_steps.storage.csv_tables import read_csv, write_csv
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import network_groups, read_columns, stack_states
from dwf_steps.storage.outputs import Outputs
from dwf_steps.subspace.basis import Basis
from dwf_steps.subspace.gram import read_gram
from dwf_steps.tasks import task_of
from dwf_steps.tasks.base import Task

logger = logging.getLogger(__name__)

REPRESENTATION_DISTANCE = "representation_distance"
ENCODED = 4  # memory for each coordinate while networks are encoded, in float32 values: float64 and a copy
DISTANCES = {
    "weights": "nn_distance",
    "outputs": "prediction_distance",
    "representation": REPRESENTATION_DISTANCE,
}
"""The column with distances to the nearest training network, by space."""


@dataclass(frozen=True)
class Items:
    """For comparisons paired by test item: how many networks predict each item correctly.

    Attributes
    ----------
    correct
        The share of networks whose prediction is correct, (m,).
    networks
        The number of networks.
    """

    correct: np.ndarray
    networks: int


@dataclass(frozen=True)
class Represented:
    """Files of a zoo in coordinates other than weights.

    Attributes
    ----------
    matrix
        The coordinates of all networks.
    gram
        The parts of their Gram matrix.
    neighbours
        ``neighbours.npz``, the output of `find_neighbours` in these coordinates.
    responses
        ``responses.npz``, the response basis.
    """

    matrix: Path
    gram: list[Path]
    neighbours: Path
    responses: Path


@dataclass(frozen=True)
class GeneratedSet:
    """The k generated networks that did not fail, together with the n training networks.

    Attributes
    ----------
    outputs
        Predictions of the generated networks.
    files
        The generated networks' files.
    products
        Inner products of their weights, with one another and with the training networks'.
    coordinates
        The same products in the generator's representation; identical to ``products`` for weights.
    training
        Predictions of the training networks.
    zoo
        The output of `evaluate_zoo`; for other representations, with the networks' distances and cells there.
    matrix
        The weight matrix.
    basis
        The generator's subspace.
    """

    outputs: Outputs
    files: list[Path]
    products: Products
    coordinates: Products
    training: Outputs
    zoo: pd.DataFrame
    matrix: WeightMatrix
    basis: Basis

    @cached_property
    def task(self) -> Task:
        """The task that the networks were trained on."""
        return task_of(self.outputs.task, self.outputs.tolerance, self.outputs.scale)

    @property
    def coordinate_distance(self) -> str:
        """The column with the zoo's distances in the generator's representation."""
        return REPRESENTATION_DISTANCE if REPRESENTATION_DISTANCE in self.zoo else "nn_distance"

    @cached_property
    def outputs_apart(self) -> np.ndarray:
        """Distances between predictions of generated and of training networks, (k, n)."""
        return self.task.distances(self.outputs.predictions, self.training.predictions)


def evaluate(
    settings: Evaluate,
    data: Path,
    networks: list[Path],
    outputs: list[Path],
    weights: Path,
    gram: list[Path],
    basis: Path,
    zoo_outputs: list[Path],
    zoo_metrics: Path,
    destination: Path,
    threads: int = 1,
    represented: Represented | None = None,
) -> None:
    """Evaluate a generator's networks, each alone and all as a set, and write the tables.

    A network with weights or outputs that are not finite is marked as failed, and has no measures.

    Novelty by weights is measured before recalibration: a recalibration is determined by the weights that it
    starts from. Predictions are those after it.

    Parameters
    ----------
    settings
        The architecture, what to measure, and the probes where the representation is responses.
    data
        The zoo's ``data.npz``.
    networks
        Manifests of the generated networks, before recalibration.
    outputs
        Their predictions on the test set after recalibration, ``outputs/shard-{k}.npz``.
    weights
        The weight matrix of the zoo.
    gram
        The parts of its Gram matrix, ``gram/part-{k}.npz``.
    basis
        ``basis.npz``, the generator's subspace.
    zoo_outputs
        Predictions of the zoo's networks after the same recalibration.
    zoo_metrics
        ``metrics.csv`` of the zoo, which `evaluate_zoo` wrote.
    destination
        The folder for ``metrics.csv`` (a row for each network), ``layers.csv`` (a row for each realigned
        network and layer), ``classes.csv`` (a row for each network and class), ``sets.csv`` (measures of all
        networks as a set, one row), ``ensembles.csv`` (a row for each size) and ``items.npz`` (`Items`).
    threads
        Threads for matching networks to training networks.
    represented
        The zoo's files in the generator's representation, unless that is weights.

    Raises
    ------
    InputError
        If a file is damaged, or a network's predictions are missing.
    """
    matrix, predicted = WeightMatrix.open(weights), Outputs.load(outputs)
    manifests = [Manifest.read(path) for path in networks]
    works = set(predicted.names[np.isfinite(predicted.predictions).all(axis=(1, 2))].tolist())
    files = [path for manifest in manifests for path in manifest.verified_files()]
    names = sample_names(len(files) + sum(len(manifest.failed) for manifest in manifests))
    files = [file for file in files if file.stem in works]
    frame, ensembles = pd.DataFrame(columns=["loss"]), pd.DataFrame(columns=["size"])
    layers = pd.DataFrame(columns=["network", "layer", "distance"])
    classes = accuracies_by_class(predicted.of([]), np.empty((0, len(predicted.targets)), bool))
    sets: dict[str, float] = {"neighbours": np.nan}
    items = Items(np.zeros(len(predicted.targets)), 0)
    if files:
        products = stream_products(matrix, len(files), _columns(files, matrix), read_gram(gram))
        coordinates, zoo = products, read_csv(zoo_metrics)
        if represented is not None:
            there = load_record(represented.neighbours, Neighbours)
            zoo = zoo.assign(**{REPRESENTATION_DISTANCE: there.distances, "representation_cell": there.cells})
            encoded = _encoded(settings, files, represented.responses, matrix, data)
            other, other_gram = WeightMatrix.open(represented.matrix), read_gram(represented.gram)
            coordinates = stream_products(other, len(files), encoded, other_gram)
        group = GeneratedSet(
            predicted.of([path.stem for path in files]),
            files,
            products,
            coordinates,
            Outputs.load(zoo_outputs).of([row.name for row in matrix.rows if not row.held_out]),
            zoo,
            matrix,
            Basis.load(basis),
        )
        train = Split.load(data, "train")
        realigned = _realigned(group, settings, threads)
        frame = _network_measures(group, realigned, settings, train)
        layers = layers if realigned is None else realigned.by_layer(list(frame.index[: len(realigned)]))
        mistakes = group.task.wrong(group.outputs.predictions, predicted.targets)
        classes = accuracies_by_class(group.outputs, mistakes)
        sets = _set_measures(group, frame, mistakes, settings.evaluation) if len(files) > 1 else sets
        ensembles = ensemble_measures(group.outputs, settings.evaluation)
        items = Items(1 - mistakes.mean(axis=0), len(files))
    frame = frame.reindex(pd.Index(names, name="network"))
    frame.insert(0, "failed", frame.loss.isna())
    logger.info("evaluated %d networks, %d failed", len(frame), frame.failed.sum())
    tables = {
        "metrics": frame.reset_index(),
        "layers": layers,
        "classes": classes,
        "sets": pd.DataFrame([sets]),
        "ensembles": ensembles,
    }
    for name, table in tables.items():
        write_csv(destination / f"{name}.csv", table)
    save_record(destination / "items.npz", items)


def _columns(files: list[Path], matrix: WeightMatrix) -> Callable[[slice], np.ndarray]:
    return lambda columns: np.stack([read_columns(path, matrix.layout, columns) for path in files])


def _encoded(
    settings: Evaluate, files: list[Path], responses: Path, matrix: WeightMatrix, data: Path
) -> Callable[[slice], np.ndarray]:
    """Encode networks; return a function from a column range to their coordinates, (k, columns)."""
    assert settings.probing is not None
    probed = Probed.load(settings.architecture, settings.probing, data, select_device())
    basis, done = load_basis(responses, probed), 0
    coordinates = np.empty((len(files), basis.layout.size), np.float32)
    each = matrix.layout.size + ENCODED * basis.layout.size
    for group in progress(network_groups(files, each), "group of networks to encode"):
        found, _ = encode(probed.capture, basis, stack_states(group).tensors(probed.device))
        coordinates[done : done + len(group)] = found.cpu().numpy()
        done += len(group)
    return lambda columns: coordinates[:, columns]


def _realigned(group: GeneratedSet, settings: Evaluate, threads: int) -> RealignedDistances | None:
    """Return the first networks' distances to the training networks after matching; None if not requested."""
    some = group.files[: settings.evaluation.realigned]
    if not some:
        return None
    architecture = build(settings.architecture)
    return realigned_to_training(architecture, stack_states(some), group.matrix, threads)


def _network_measures(
    group: GeneratedSet, realigned: RealignedDistances | None, settings: Evaluate, train: Split
) -> pd.DataFrame:
    """Return the measures of each network, one row each.

    These are `function_measures`, `weight_measures`, further distances and the barrier; ``nearest_accuracy``
    is the accuracy of the training network with the nearest weights.
    """
    frame = function_measures(group.outputs, group.training)
    weights = weight_measures(group.products, group.training.names)
    frame = frame.join(weights.set_index(frame.index))
    frame["subspace_distance"] = group.basis.distances_to_training(group.coordinates).min(axis=1)
    if group.coordinate_distance == REPRESENTATION_DISTANCE:
        frame[REPRESENTATION_DISTANCE] = group.coordinates.distances_to_training.min(axis=1)
    frame["prediction_distance"] = group.outputs_apart.min(axis=1)
    training = group.zoo.set_index("network")
    frame["nearest_accuracy"] = training.accuracy.loc[frame.nearest].to_numpy()
    architecture, k = build(settings.architecture), len(group.files)
    frame["realigned_distance"] = frame["barrier"] = np.full(k, np.nan)
    if realigned is not None:
        frame["realigned_distance"] = padded(realigned.nearest, k)
    if some := group.files[: settings.evaluation.barriers]:
        nearest = group.products.distances_to_training.argmin(axis=1)[: len(some)]
        barriers = midpoint_barrier(
            architecture, stack_states(some), group.matrix.networks(nearest), train.first(BARRIER_EXAMPLES)
        )
        frame["barrier"] = padded(barriers, k)
    return frame


def _zoo_subspace_distances(group: GeneratedSet) -> tuple[float, float]:
    """Return the mean distances of training and of held-out networks to the nearest training network.

    Distances are measured within the subspace, to other training networks; NaN if there are no held-out ones.
    """
    distances = group.zoo.groupby("held_out")[group.coordinate_distance].mean()
    return group.basis.nearest_distances(
        group.matrix.trajectories, (distances[False], distances.get(True, np.nan))
    )


def _set_measures(
    group: GeneratedSet, frame: pd.DataFrame, mistakes: np.ndarray, evaluation: MeasurementConfig
) -> dict[str, float]:
    """Return the measures of all networks as a set, and the zoo's distances in the same subspace.

    Parameters
    ----------
    group
        The generated and the training networks.
    frame
        The measures of each generated network.
    mistakes
        Which test items each generated network gets wrong, (k, m) bool.
    evaluation
        What to measure.
    """
    products, draws = group.products, numpy_generator("subsets", evaluation.seed)
    across, among = products.distances_to_training, products.distances_among_generated
    zoo = group.zoo[~group.zoo.held_out]
    trajectories = group.matrix.trajectories
    transport = wasserstein_to_zoo(across, products.training, trajectories, draws, evaluation.draws)
    measures = {
        "within_iou": mean_over_pairs(wrong_set_iou(mistakes, mistakes)),
        "zoo_within_iou": zoo.mean_iou.mean(),
        "within_distance": mean_over_pairs(among),
        "zoo_within_distance": zoo.mean_distance.mean(),
        "dispersion_ratio": mean_over_pairs(among) / zoo.mean_distance.mean(),
        "wasserstein": transport.distance,
        "wasserstein_zoo_halves": transport.baseline,
        "wasserstein_size": transport.size,
    }
    predictions = group.outputs.predictions
    spaces = {
        "weights": (among, across),
        "outputs": (group.task.distances(predictions, predictions), group.outputs_apart),
    }
    for space, (own, to_training) in spaces.items():
        radii = zoo[f"{space}_radius"].to_numpy(), own_radii(own, evaluation.neighbours)
        values = prdc(*radii, to_training, evaluation.neighbours)
        measures |= {f"{name}_{space}": value for name, value in asdict(values).items()}
        measures |= _data_copying(group.zoo, frame, space, to_training.argmin(axis=1))
    if group.coordinate_distance == REPRESENTATION_DISTANCE:
        measures |= _in_representation(group, frame)
    training_distance, held_out_distance = _zoo_subspace_distances(group)
    return measures | {
        "neighbours": evaluation.neighbours,
        "zoo_subspace_distance": training_distance,
        "held_out_subspace_distance": held_out_distance,
    }


def _in_representation(group: GeneratedSet, frame: pd.DataFrame) -> dict[str, float]:
    """Return the measures of the set in the generator's representation.

    These are the zoo's mean distances to the nearest training network, and the data-copying statistic.
    """
    distances = group.zoo.groupby("held_out")[REPRESENTATION_DISTANCE].mean()
    nearest = group.coordinates.distances_to_training.argmin(axis=1)
    return _data_copying(group.zoo, frame, "representation", nearest) | {
        "zoo_representation_distance": distances[False],
        "held_out_representation_distance": distances.get(True, np.nan),
    }


def _data_copying(
    zoo: pd.DataFrame, frame: pd.DataFrame, space: str, nearest: np.ndarray
) -> dict[str, float]:
    """Return the data-copying statistic against held-out networks, over all networks and within cells.

    Weights are compared by the distances after matching, if they were measured.

    Parameters
    ----------
    zoo
        The measures of the zoo's networks.
    frame
        The measures of the generated networks.
    space
        A key of `DISTANCES`.
    nearest
        The nearest training network of each generated network, (k,), whose cell it belongs to.
    """
    held_out, cell = zoo[zoo.held_out], f"{space}_cell"
    generated = frame.assign(**{cell: zoo[~zoo.held_out][cell].to_numpy()[nearest]})
    distance = DISTANCES[space]
    if space == "weights" and all(some.realigned_distance.notna().any() for some in (generated, held_out)):
        distance = "realigned_distance"
    generated, held_out = (some.dropna(subset=distance) for some in (generated, held_out))
    apart = generated[distance].to_numpy(), held_out[distance].to_numpy()
    cells = generated[cell].to_numpy(), held_out[cell].to_numpy()
    divided = (zoo[cell] > 0).any()
    return {
        f"data_copying_{space}": data_copying(*apart),
        f"data_copying_in_cells_{space}": data_copying_in_cells(*apart, *cells) if divided else np.nan,
    }


def main() -> None:
    """Run the step with the arguments of the command line."""
    several = ["networks", "outputs", "gram", "zoo-outputs"]
    options = parser(__doc__, "data", "weights", "basis", "zoo-metrics", "destination", several=several)
    options.add_argument("--represented", type=Path, nargs="?", help="the zoo in response coordinates")
    options.add_argument("--represented-gram", type=numbered, nargs="?", default=[], const=[])
    options.add_argument("--neighbours", type=Path, nargs="?", help="its nearest neighbours in them")
    options.add_argument("--responses", type=Path, nargs="?", help="the response basis")
    options.add_argument("--threads", type=int, default=1)
    args = options.parse_args()
    files = args.represented, args.represented_gram, args.neighbours, args.responses
    evaluate(
        parse_settings(Evaluate, args.settings),
        args.data,
        args.networks,
        args.outputs,
        args.weights,
        args.gram,
        args.basis,
        args.zoo_outputs,
        args.zoo_metrics,
        args.destination,
        args.threads,
        Represented(*files) if args.represented else None,
    )


if __name__ == "__main__":
    run(main)
