"""Draw the figures, each as pdf and png."""

import argparse
from pathlib import Path

import pandas as pd

from dwf_steps.reporting.figures import (
    accuracy_against_iou,
    accuracy_at_novelty,
    ensembles,
    explained_variance,
    loss_curves,
    sweep,
    transfer_curves,
)
from dwf_steps.reporting.results import KEYS, Collection, Results
from dwf_steps.reporting.sweeps import swept_families
from dwf_steps.runtime.command_line import run


def plot(root: Path, output: Path) -> None:
    """Draw all figures of a results folder whose tables are made into the folder ``output``."""
    results = Results.open(root)
    collection = Collection([results])
    accuracy_at_novelty(collection, output / "accuracy_at_novelty.pdf")
    accuracy_against_iou(collection, output / "accuracy_against_iou.pdf")
    ensembles(_table(root, "ensembles"), collection, output / "ensembles.pdf")
    explained_variance(collection, output / "explained_variance.pdf")
    loss_curves(collection, output / "flow_loss.pdf")
    if results.record.transferred:
        transfer_curves(collection, output / "transfer.pdf")
    for family, level in swept_families(results.record).items():
        sweep(_table(root, f"sweep_{family}"), family, level, output / f"sweep_{family}.pdf")


def _table(root: Path, name: str) -> pd.DataFrame:
    table = pd.read_csv(root / f"tables/{name}.csv")
    labels = table.columns.intersection(KEYS)
    return table.fillna(dict.fromkeys(labels, ""))


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("results", type=Path, help="a results folder")
    options.add_argument("--output", required=True, type=Path)
    args = options.parse_args()
    plot(args.results, args.output)


if __name__ == "__main__":
    run(main)
