"""Score generated networks: how good, and how new."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.dataset import DatasetConfig, SplitsConfig
from dwf_steps.config.section import Section
from dwf_steps.datasets import load_dataset
from dwf_steps.datasets.splits import Split
from dwf_steps.device import select_device
from dwf_steps.generators.samples import sample_names
from dwf_steps.metrics.novelty import squared_distances_to_training, wrong_set_iou
from dwf_steps.metrics.scores import Scores, score_split
from dwf_steps.progress import progress
from dwf_steps.step import parse_settings, parser, run
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import read_columns, stack_states
from dwf_steps.zoo.records import ZooRecords

MEASURES = ["accuracy", "loss", "max_iou", "nn_distance", "nearest"]
NETWORKS_BYTES = 2**29  # of networks that are scored together

logger = logging.getLogger(__name__)


class EvaluateSettings(Section):
    """The data to score on."""

    dataset: DatasetConfig
    splits: SplitsConfig
    architecture: ArchitectureConfig


def evaluate(
    settings: EvaluateSettings,
    data_dir: Path | None,
    generated: list[Path],
    weights: Path,
    zoo_manifests: list[Path],
    predictions: list[Path],
    output: Path,
) -> None:
    """Score all networks on the test set, as many in one batched pass as fit, and write one row a network.

    A network with weights or outputs that are not finite is marked as failed and has no scores.

    Parameters
    ----------
    generated
        Manifests of the generated networks.
    """
    matrix = WeightMatrix.open(weights)
    zoo = ZooRecords.read(zoo_manifests, predictions, matrix.rows)
    test = load_dataset(settings.dataset, settings.splits, data_dir).test
    manifests = [Manifest.read(path) for path in generated]
    files = [path for manifest in manifests for path in manifest.verified_files()]
    failed = [name for manifest in manifests for name in manifest.failed]
    frame = _measure(settings, files, test, matrix, zoo) if files else pd.DataFrame(columns=MEASURES)
    frame = frame.reindex(pd.Index(sample_names(len(files) + len(failed)), name="network"))
    frame.insert(0, "failed", ~np.isfinite(frame.loss.astype(float)))
    frame.loc[frame.failed, MEASURES] = np.nan
    logger.info("scored %d networks, %d failed", len(frame), frame.failed.sum())
    with replacing(output) as partial:
        frame.to_csv(partial)


def _measure(
    settings: EvaluateSettings, files: list[Path], test: Split, matrix: WeightMatrix, zoo: ZooRecords
) -> pd.DataFrame:
    """Return the measures of every network that has a file."""
    scores = _scores(build(settings.architecture), files, test, matrix.layout.size)
    overlap = wrong_set_iou(scores.predictions != test.targets, zoo.wrong[: matrix.n_training])
    distances = np.sqrt(
        squared_distances_to_training(
            matrix,
            len(files),
            lambda columns: np.stack([read_columns(path, matrix.layout, columns) for path in files]),
        )
    )
    nearest = [matrix.rows[i].name for i in distances.argmin(axis=1)]
    values = (scores.accuracy, scores.loss, overlap.max(axis=1), distances.min(axis=1), nearest)
    return pd.DataFrame(dict(zip(MEASURES, values, strict=True)), index=[path.stem for path in files])


def _scores(architecture: MLPArchitecture, files: list[Path], test: Split, d: int) -> Scores:
    """Score networks of ``d`` weights each, as many at a time as fit into the memory given to them."""
    device, together = select_device(), max(1, NETWORKS_BYTES // (4 * d))
    groups = []
    for start in progress(range(0, len(files), together), "group of networks"):
        stacked = stack_states(files[start : start + together])
        parameters = {name: torch.from_numpy(array).to(device) for name, array in stacked.items()}
        groups.append(score_split(architecture, parameters, test))
    return Scores(
        np.concatenate([group.accuracy for group in groups]),
        np.concatenate([group.loss for group in groups]),
        np.concatenate([group.predictions for group in groups]),
    )


def main() -> None:
    options = parser(__doc__, "data-dir", "weights", "output")
    options.add_argument("--generated", required=True, nargs="+", type=Path)
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
