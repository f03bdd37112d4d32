"""Score generated networks: how good, and how new."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dwf_steps.architectures import build
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.dataset import DatasetConfig, SplitsConfig
from dwf_steps.config.section import Section
from dwf_steps.datasets import load_dataset
from dwf_steps.device import select_device
from dwf_steps.metrics.novelty import squared_distances_to_training, wrong_set_iou
from dwf_steps.metrics.scores import score_split
from dwf_steps.step import parse_settings, parser, run
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.zoo.records import ZooRecords

logger = logging.getLogger(__name__)


class EvaluateSettings(Section):
    """The data to score on."""

    dataset: DatasetConfig
    splits: SplitsConfig
    architecture: ArchitectureConfig


def evaluate(
    settings: EvaluateSettings,
    data_dir: Path | None,
    generated: Path,
    weights: Path,
    zoo_manifests: list[Path],
    predictions: list[Path],
    output: Path,
) -> None:
    """Score all networks in one batched pass over the test set and write one row a network.

    A network with weights or outputs that are not finite is marked as failed and has no scores.
    """
    matrix, samples = WeightMatrix.open(weights), WeightMatrix.open(generated)
    zoo = ZooRecords.read(zoo_manifests, predictions, matrix.rows)
    test = load_dataset(settings.dataset, settings.splits, data_dir).test
    rows, device = samples.read(), select_device()
    parameters = {
        name: torch.from_numpy(array).to(device) for name, array in matrix.layout.unflatten(rows).items()
    }
    scores = score_split(build(settings.architecture), parameters, test)
    distances = np.sqrt(squared_distances_to_training(matrix, rows))
    overlap = wrong_set_iou(scores.predictions != test.targets, zoo.wrong[: matrix.n_training])
    failed = ~(np.isfinite(rows).all(axis=1) & np.isfinite(scores.loss))
    frame = pd.DataFrame(
        {
            "network": [row.name for row in samples.rows],
            "failed": failed,
            "accuracy": scores.accuracy,
            "loss": scores.loss,
            "max_iou": overlap.max(axis=1),
            "nn_distance": distances.min(axis=1),
            "nearest": [matrix.rows[i].name for i in distances.argmin(axis=1)],
        }
    )
    frame.loc[failed, ["accuracy", "loss", "max_iou", "nn_distance", "nearest"]] = np.nan
    logger.info("scored %d networks, %d failed", len(frame), failed.sum())
    with replacing(output) as partial:
        frame.to_csv(partial, index=False)


def main() -> None:
    options = parser(__doc__, "data-dir", "generated", "weights", "output")
    options.add_argument("--zoo-manifests", required=True, nargs="+", type=Path)
    options.add_argument("--predictions", required=True, nargs="+", type=Path)
    args = options.parse_args()
    evaluate(
        parse_settings(EvaluateSettings, args.settings),
        args.data_dir,
        args.generated,
        args.weights,
        args.zoo_manifests,
        args.predictions,
        args.output,
    )


if __name__ == "__main__":
    run(main)
