"""Score networks: predict the test set, and inputs from outside the data's distribution."""

from pathlib import Path

import numpy as np
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.datasets.shifted import shifted_inputs
from dwf_steps.datasets.splits import Dataset
from dwf_steps.metrics.scores import predictions_of
from dwf_steps.pipeline.settings.score import Score
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import network_groups, stack_states
from dwf_steps.storage.outputs import Outputs
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks import task_of


def score(settings: Score, data: Path, other_data: Path | None, networks: Path, output: Path) -> None:
    """Write the predictions of the networks of one shard, computed in batches of networks.

    Parameters
    ----------
    settings
        The architecture, and which out-of-distribution inputs to predict.
    data
        The zoo's ``data.npz``.
    other_data
        The folder of the data set that provides out-of-distribution inputs, if another one does.
    networks
        The shard's manifest.
    output
        ``outputs/shard-{k}.npz``, `Outputs`.

    Raises
    ------
    InputError
        If a network's file has changed since it was written, or the out-of-distribution inputs do not suit
        the data.
    """
    architecture, device = build(settings.architecture), select_device()
    dataset = Dataset.load(data)
    files = Manifest.read(networks).verified_files()
    scorer = Scorer(architecture, dataset, shifted_inputs(settings.out_of_distribution, dataset, other_data))
    for group in progress(network_groups(files, architecture.layout.size), "group of networks"):
        scorer.add([path.stem for path in group], stack_states(group).tensors(device))
    scorer.outputs().save(output)


class Scorer:
    """Collects networks' predictions for the test inputs and for ``shifted`` inputs (m', features)."""

    def __init__(self, architecture: Architecture, dataset: Dataset, shifted: np.ndarray) -> None:
        self._architecture, self._dataset = architecture, dataset
        self._task = task_of(dataset.test.task, dataset.test.tolerance, dataset.test.scale)
        self._inputs = (dataset.test.inputs, shifted)
        outputs = architecture.config.classes
        self._predictions = [
            [np.empty((0, len(inputs), outputs), self._task.dtype)] for inputs in self._inputs
        ]
        self._names: list[str] = []

    def add(self, names: list[str], networks: StackedNetworks[torch.Tensor]) -> None:
        """Add the predictions of n networks."""
        self._names += names
        for predictions, inputs in zip(self._predictions, self._inputs, strict=True):
            predictions.append(predictions_of(self._architecture, networks, inputs, self._task))

    def outputs(self) -> Outputs:
        """Return the predictions of all networks."""
        test, shifted = map(np.concatenate, self._predictions)
        names, classes = (np.array(texts, dtype=str) for texts in (self._names, self._dataset.classes))
        split = self._dataset.test
        return Outputs(names, test, split.targets, shifted, split.task, split.tolerance, split.scale, classes)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "data", "networks", "output")
    options.add_argument("--other-data", type=Path, nargs="?", help="for out-of-distribution inputs")
    args = options.parse_args()
    settings = parse_settings(Score, args.settings)
    score(settings, args.data, args.other_data, args.networks, args.output)


if __name__ == "__main__":
    run(main)
