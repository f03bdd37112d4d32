"""Score networks: their log-probabilities on the test set, and on inputs from outside its distribution."""

from pathlib import Path

import numpy as np
import torch

from dwf_steps.architectures import build
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.dataset import DatasetConfig, Shift, SplitsConfig
from dwf_steps.config.section import Section
from dwf_steps.datasets import load_dataset
from dwf_steps.datasets.shifted import shifted_inputs
from dwf_steps.device import select_device
from dwf_steps.metrics.scores import log_probabilities
from dwf_steps.progress import progress
from dwf_steps.step import parse_settings, parser, run
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import networks_together, stack_states
from dwf_steps.storage.outputs import Outputs


class ScoreSettings(Section):
    """The data to score on."""

    dataset: DatasetConfig
    splits: SplitsConfig
    architecture: ArchitectureConfig
    out_of_distribution: Shift | None = None


def score(
    settings: ScoreSettings, data_dir: Path | None, other_data: Path | None, networks: Path, output: Path
) -> None:
    """Score the networks of one shard, as many in one batched pass as fit.

    Parameters
    ----------
    other_data
        Where the data set lies that ``out_of_distribution`` names, if it names one.
    networks
        The shard's manifest.
    """
    architecture, device = build(settings.architecture), select_device()
    dataset = load_dataset(settings.dataset, settings.splits, data_dir)
    inputs = (dataset.test.inputs, shifted_inputs(settings.out_of_distribution, dataset, other_data))
    files = Manifest.read(networks).verified_files()
    together = networks_together(architecture.layout.size)
    classes = settings.architecture.widths[-1]
    said = [np.empty((len(files), len(asked), classes), np.float16) for asked in inputs]
    for start in progress(range(0, len(files), together), "group of networks"):
        group = slice(start, start + together)
        stacked = stack_states(files[group])
        parameters = {name: torch.from_numpy(array).to(device) for name, array in stacked.items()}
        for answers, asked in zip(said, inputs, strict=True):
            answers[group] = log_probabilities(architecture, parameters, asked)
    names = np.array([path.stem for path in files], dtype=str)
    Outputs(names, said[0], dataset.test.targets, said[1]).save(output)


def main() -> None:
    options = parser(__doc__, "data-dir", "networks", "output")
    options.add_argument("--other-data", type=Path, nargs="?", help="of another data set")
    args = options.parse_args()
    settings = parse_settings(ScoreSettings, args.settings)
    score(settings, args.data_dir, args.other_data, args.networks, args.output)


if __name__ == "__main__":
    run(main)
