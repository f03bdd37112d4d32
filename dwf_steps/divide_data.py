"""Divide a data set into training, validation and test sets, and standardise it."""

from pathlib import Path

from dwf_steps.datasets.loading import load_dataset
from dwf_steps.pipeline.settings.data import DivideData
from dwf_steps.runtime.command_line import parse_settings, parser, run


def divide_data(settings: DivideData, data_dir: Path | None, output: Path) -> None:
    """Write a data set in the form that networks are trained on.

    Parameters
    ----------
    settings
        The data set, how it is divided, and how images and classes are adapted to given networks.
    data_dir
        The folder of a data set that was fetched or prepared; None for tables and scikit-learn's data sets.
    output
        ``data.npz``, a `Dataset`.

    Raises
    ------
    InputError
        If a file is missing, or does not have the expected content.
    """
    dataset = load_dataset(settings.dataset, settings.splits, data_dir)
    if (settings.size, settings.change, settings.classes) != (None, None, None):
        # Imported here: other data do not need PyTorch, whose import takes seconds.
        from dwf_steps.datasets.adapting import renamed, rotated, scaled

        dataset = scaled(dataset, settings.size) if settings.size is not None else dataset
        dataset = rotated(dataset) if settings.change == "rotated" else dataset
        dataset = renamed(dataset, settings.classes) if settings.classes is not None else dataset
    dataset.save(output)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "data-dir", "output")
    args = options.parse_args()
    divide_data(parse_settings(DivideData, args.settings), args.data_dir, args.output)


if __name__ == "__main__":
    run(main)
