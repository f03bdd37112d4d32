"""Recalibrate the zoo's networks in the same way as generated ones, and predict the test set with them."""

from pathlib import Path

from dwf_steps.architectures import build
from dwf_steps.datasets.shifted import shifted_inputs
from dwf_steps.datasets.splits import Dataset
from dwf_steps.pipeline.settings.recalibrate import RecalibrateZoo
from dwf_steps.recalibration.methods import apply_recalibration, references_of
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.progress import progress
from dwf_steps.score import Scorer
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import network_groups


def recalibrate_zoo(
    settings: RecalibrateZoo,
    data: Path,
    other_data: Path | None,
    weights: Path,
    output: Path,
) -> None:
    """Write predictions of all the zoo's networks after recalibration, held-out ones included.

    Parameters
    ----------
    settings
        The architecture, the methods in order, and which out-of-distribution inputs to predict.
    data
        The zoo's ``data.npz``.
    other_data
        The folder of the data set that provides out-of-distribution inputs, if another one does.
    weights
        The zoo's weight matrix.
    output
        ``zoo_outputs/{recalibration}.npz``, the `Outputs` of all networks in the order of the matrix.

    Raises
    ------
    InputError
        If a file is damaged.
    """
    dataset = Dataset.load(data)
    architecture, device, matrix = build(settings.architecture), select_device(), WeightMatrix.open(weights)
    references = [
        found.tensors(device)
        for found in references_of(settings.methods, matrix, architecture, dataset.train)
    ]
    scorer = Scorer(architecture, dataset, shifted_inputs(settings.out_of_distribution, dataset, other_data))
    rows = range(len(matrix.rows))
    for group in progress(network_groups(rows, architecture.layout.size), "group of networks"):
        networks = matrix.networks(group).tensors(device)
        recalibrated = apply_recalibration(
            architecture, networks, settings.methods, dataset.train, references
        )
        scorer.add([matrix.rows[i].name for i in group], recalibrated)
    scorer.outputs().save(output)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "data", "weights", "output")
    options.add_argument("--other-data", type=Path, nargs="?", help="for out-of-distribution inputs")
    args = options.parse_args()
    settings = parse_settings(RecalibrateZoo, args.settings)
    recalibrate_zoo(settings, args.data, args.other_data, args.weights, args.output)


if __name__ == "__main__":
    run(main)
