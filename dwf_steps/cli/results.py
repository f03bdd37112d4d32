"""Print the accuracy-and-novelty table and the summary of the last run, and the paths of all results."""

import argparse
from pathlib import Path

import pandas as pd

from dwf_steps.runtime.command_line import run
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.csv_tables import read_csv
from dwf_steps.storage.lineage import LEVELS


def summary(tables: Path) -> pd.DataFrame:
    """Combine the tables of accuracy and of novelty.

    Parameters
    ----------
    tables
        The folder with ``accuracy.csv`` and ``novelty.csv``.

    Returns
    -------
    One row for each generator, formatted for printing: its values beside those of the zoo.

    Raises
    ------
    InputError
        If the tables have not been written yet.
    """
    paths = [tables / "accuracy.csv", tables / "novelty.csv"]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise InputError(f"no tables yet (missing {', '.join(missing)}); run `snakemake` first")
    accuracy, novelty = map(read_csv, paths)
    accuracy = accuracy[accuracy.metric == "accuracy"]
    both = accuracy.merge(novelty, on=list(LEVELS), suffixes=("", "_again"))
    return pd.DataFrame(
        {
            "zoo": both.zoo,
            "canonicalization": both.canonicalization,
            "representation": both.representation,
            "subspace": both.subspace,
            "generator": both.generator,
            "accuracy %": _spread(both.generated_mean, both.generated_std),
            "zoo %": _spread(both.zoo_mean, both.zoo_std),
            "max IoU": both.max_iou_mean.map("{:.3f}".format),
            "zoo's": both.zoo_max_iou_mean.map("{:.3f}".format),
            "nearest": both.nn_distance_mean.map("{:.2f}".format),
            "zoo's own": both.zoo_nn_distance_mean.map("{:.2f}".format),
            "layer": both.layer_novelty.map("{:.2f}".format, na_action="ignore").fillna(""),
            "failed": both.failed_n,
        }
    )


def _spread(mean: pd.Series, std: pd.Series) -> pd.Series:
    return (100 * mean).map("{:.2f}".format) + " ± " + (100 * std).map("{:.2f}".format)


def show_results(results: Path) -> None:
    """Print the table, the summary and the paths of tables, figures and report.

    Parameters
    ----------
    results
        The results folder.

    Raises
    ------
    InputError
        If the tables have not been written yet.
    """
    print(summary(results / "tables").to_markdown(index=False, tablefmt="simple", disable_numparse=True))
    print()
    print("max IoU: overlap of mistakes with the most similar training network (1: the same mistakes);")
    print("nearest: distance to the nearest training network; zoo's: the same for the training networks;")
    print("layer: that distance in the layer where it is smallest, relative to held-out ones (0: copied).")
    print()
    print("\n".join((results / "summary.md").read_text(encoding="utf-8").splitlines()[2:]))
    print()
    for name, pattern in (
        ("tables", "tables/*.csv"),
        ("figures", "figures/*.pdf"),
        ("report", "report.html"),
    ):
        for path in sorted(results.glob(pattern)):
            print(f"{name:8} {path}")


def main() -> None:
    """Print the results in the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    show_results(parser.parse_args().results)


if __name__ == "__main__":
    run(main)
