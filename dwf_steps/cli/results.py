"""Print the accuracy-and-novelty table and the summary of the last run, and the paths of all results."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.reporting.overview import HELD_OUT_NETWORKS, TRAINING_NETWORKS
from dwf_steps.reporting.results import several
from dwf_steps.runtime.command_line import run
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.csv_tables import read_csv

LEGEND = """\
distance: to the nearest training network, after matching units again where that was measured; 0 is a copy
layer: the same in the layer where it is smallest
IoU: largest overlap of mistakes with a training network"""
RELATIVE_TO = {
    HELD_OUT_NETWORKS: "held-out networks; 1 is as new as a network trained from a new seed",
    TRAINING_NETWORKS: "training networks, each left out in turn; no networks are held out",
}


def overview_of(results: Path) -> pd.DataFrame:
    """Read the table ``overview``.

    Parameters
    ----------
    results
        The results folder.

    Returns
    -------
    One row per generator, the best new networks first.

    Raises
    ------
    InputError
        If the tables have not been written yet.
    """
    path = results / "tables/overview.csv"
    if not path.is_file():
        raise InputError(f"no tables yet (missing {path}); run `snakemake` first")
    return read_csv(path)


def shown(overview: pd.DataFrame) -> str:
    """Show the overview in a terminal.

    Parameters
    ----------
    overview
        From `overview_of`.

    Returns
    -------
    A row for each generator, with accuracies in per cent and ratios of novelty, and what the columns mean.
    """
    levels = ["zoo", "canonicalization", "representation", "subspace", "generator"]
    if several(overview.recalibration):
        levels.append("recalibration")
    columns = {level: overview[level] for level in levels} | {
        "accuracy %": _spread(overview, "accuracy"),
        "zoo %": _spread(overview, "zoo_accuracy"),
        "distance": _ratios(overview.relative_distance_mean),
        "layer": _ratios(overview.layer_novelty),
        "IoU": _ratios(overview.relative_max_iou),
        "failed": overview.failed_n,
    }
    listing = pd.DataFrame(columns).to_markdown(index=False, tablefmt="simple", disable_numparse=True)
    return "\n".join([listing, "", LEGEND, *_references(overview)])


def _references(overview: pd.DataFrame) -> Iterator[str]:
    """Yield what the ratios are relative to, with the names of zoos where these differ."""
    for name, rows in overview.groupby("relative_to", sort=False):
        zoos = f"{', '.join(rows.zoo.unique())}: " if several(overview.relative_to) else ""
        yield f"{zoos}all three relative to the mean of {RELATIVE_TO[str(name)]}"


def _spread(overview: pd.DataFrame, name: str) -> list[str]:
    pairs = zip(100 * overview[f"{name}_mean"], 100 * overview[f"{name}_std"], strict=True)
    return ["" if np.isnan(mean) else f"{mean:.1f}" + _plus_minus(std) for mean, std in pairs]


def _plus_minus(std: float) -> str:
    return "" if np.isnan(std) else f" ± {std:.1f}"


def _ratios(values: pd.Series) -> pd.Series:
    return values.map("{:.2f}".format, na_action="ignore").fillna("")


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
    print(shown(overview_of(results)))
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
