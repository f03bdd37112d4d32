"""Divide a data set into training, validation and test, and standardise it, once for all that reads it."""

from pathlib import Path

from dwf_steps.datasets.loading import load_dataset
from dwf_steps.pipeline.settings.data import DivideData
from dwf_steps.runtime.command_line import parse_settings, parser, run


def divide_data(settings: DivideData, data_dir: Path | None, output: Path) -> None:
    """Write the data as networks see them."""
    dataset = load_dataset(settings.dataset, settings.splits, data_dir)
    if (settings.size, settings.change, settings.classes) != (None, None, None):
        # Imported here: PyTorch takes seconds that other data need not pay.
        from dwf_steps.datasets.adapting import renamed, rotated, scaled

        dataset = scaled(dataset, settings.size) if settings.size is not None else dataset
        dataset = rotated(dataset) if settings.change == "rotated" else dataset
        dataset = renamed(dataset, settings.classes) if settings.classes is not None else dataset
    dataset.save(output)


def main() -> None:
    options = parser(__doc__, "data-dir", "output")
    args = options.parse_args()
    divide_data(parse_settings(DivideData, args.settings), args.data_dir, args.output)


if __name__ == "__main__":
    run(main)
