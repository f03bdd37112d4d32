"""Draw the figures, each as pdf and png."""

import argparse
from pathlib import Path

from dwf_steps.reporting import registry
from dwf_steps.reporting.results import Collection, Results
from dwf_steps.runtime.command_line import run
from dwf_steps.storage.csv_tables import read_csv


def plot(root: Path, output: Path) -> None:
    """Draw all figures that the experiment asks for.

    Parameters
    ----------
    root
        A results folder whose tables have been written.
    output
        The folder for the figures, each as pdf and png.

    Raises
    ------
    InputError
        If the folder has no tables, or a file is damaged.
    """
    results = Results.open(root)
    collection = Collection([results])
    for item in registry.asked("figure", results.record):
        tables = [read_csv(root / f"tables/{name}.csv") for name in item.needs]
        draw = registry.import_maker(str(item.exhibit.figure))
        draw(collection, output / f"{item.name}.pdf", *tables, *item.arguments)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("results", type=Path, help="a results folder")
    options.add_argument("--output", required=True, type=Path)
    args = options.parse_args()
    plot(args.results, args.output)


if __name__ == "__main__":
    run(main)
