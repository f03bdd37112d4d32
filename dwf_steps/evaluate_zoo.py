"""The zoo's own measures: each network against the training networks, itself left out."""

from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.architectures import build
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.evaluation import EvaluationConfig
from dwf_steps.config.section import Section
from dwf_steps.metrics.ensembles import ensemble_measures
from dwf_steps.metrics.function import function_measures
from dwf_steps.metrics.leave_one_out import without_diagonal
from dwf_steps.metrics.products import Products
from dwf_steps.metrics.realign import realigned_to_training
from dwf_steps.metrics.sets import neighbourhood_radii
from dwf_steps.metrics.similarity import hellinger
from dwf_steps.metrics.weights import training_weight_measures, weight_measures
from dwf_steps.step import parse_settings, parser, run
from dwf_steps.storage.arrays import padded
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.outputs import Outputs
from dwf_steps.subspace.gram import read_gram


class EvaluateZooSettings(Section):
    """What is measured."""

    architecture: ArchitectureConfig
    evaluation: EvaluationConfig


def evaluate_zoo(
    settings: EvaluateZooSettings,
    outputs: list[Path],
    weights: Path,
    gram: list[Path],
    output: Path,
    ensembles: Path,
    threads: int = 1,
) -> None:
    """Write one row a network, training networks first, in the order of the weight matrix, and what ensembles
    of training networks score.

    Held-out networks are compared with all training networks, training networks with all others: the
    values that a generated network's are read against. ``weights_radius`` and ``outputs_radius`` are training
    networks' distances to their k-th neighbour.
    """
    matrix = WeightMatrix.open(weights)
    names, n = np.array([row.name for row in matrix.rows], dtype=str), matrix.n_training
    zoo = Outputs.load(outputs).of(names.tolist())
    training = zoo.of(names[:n].tolist())
    frame = function_measures(zoo, training, among_training=True)
    products = read_gram(gram).products
    centred = Products(products[:n, :n], products[n:, :n], products[n:, n:])
    measures = [training_weight_measures(centred.training, centred.distances_among_training, names[:n])]
    if len(names) > n:
        measures.append(weight_measures(centred, names[:n]))
    frame = frame.join(pd.concat(measures).set_index(frame.index))
    said, neighbours = training.log_probabilities, settings.evaluation.neighbours
    spaces = {"weights": centred.distances_among_training, "outputs": hellinger(said, said)}
    for space, distances in spaces.items():
        frame[f"{space}_radius"] = padded(neighbourhood_radii(distances, neighbours), len(names))
    frame["realigned_distance"] = _realigned_distances(settings, matrix, threads)
    frame.insert(0, "held_out", [row.held_out for row in matrix.rows])
    with replacing(output) as partial:
        frame.to_csv(partial)
    with replacing(ensembles) as partial:
        ensemble_measures(training, settings.evaluation).to_csv(partial, index=False)


def _realigned_distances(settings: EvaluateZooSettings, matrix: WeightMatrix, threads: int) -> np.ndarray:
    """Return the smallest distance to a training network that each was matched to anew, of the first training
    networks and of all held-out ones; NaN for the others."""
    n, first = matrix.n_training, min(settings.evaluation.realigned, matrix.n_training)
    nearest = np.full(len(matrix.rows), np.nan)
    if first:
        chosen = np.r_[:first, n : len(matrix.rows)]
        architecture, networks = build(settings.architecture), matrix.networks(chosen)
        distances = realigned_to_training(architecture, networks, matrix, threads)
        distances[:first, :first] = without_diagonal(distances[:first, :first])
        nearest[chosen] = distances.min(axis=1)
    return nearest


def main() -> None:
    options = parser(__doc__, "weights", "output", "ensembles")
    options.add_argument("--gram", required=True, nargs="+", type=Path)
    options.add_argument("--outputs", required=True, nargs="+", type=Path)
    options.add_argument("--threads", type=int, default=1)
    args = options.parse_args()
    settings = parse_settings(EvaluateZooSettings, args.settings)
    evaluate_zoo(settings, args.outputs, args.weights, args.gram, args.output, args.ensembles, args.threads)


if __name__ == "__main__":
    run(main)
