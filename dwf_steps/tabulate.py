"""Collect the result tables of one results folder, or of several together, each as csv, md and tex."""

import argparse
from pathlib import Path

import pandas as pd

from dwf_steps.reporting.costs import cost_table, ensembles_table
from dwf_steps.reporting.frontier import novelty_accuracy_table
from dwf_steps.reporting.results import RECORD, Collection, ExperimentRecord, Results
from dwf_steps.reporting.summary import summary_lines
from dwf_steps.reporting.sweeps import sweep_table, swept_families
from dwf_steps.reporting.tables import (
    accuracy_table,
    alignment_table,
    best_accuracies,
    distances_table,
    likelihood_table,
    novelty_table,
    other_widths_table,
    precision_table,
    sets_table,
    timing_table,
    transfer_table,
    write_table,
)
from dwf_steps.runtime.command_line import parse_settings, run
from dwf_steps.storage.atomic import replacing


def tabulate(results: list[Results], output: Path, summary: Path) -> None:
    """Write all tables, and what they are of, into the folder ``output``, and the ``summary``.

    Repetitions, in one folder or over several, are pooled: their number and their spread are stated.
    """
    collection = Collection(results)
    costs = cost_table(collection)
    tables = {
        "accuracy": accuracy_table(collection),
        "novelty": novelty_table(collection),
        "distances": distances_table(collection),
        "sets": sets_table(collection),
        "novelty_accuracy": novelty_accuracy_table(collection),
        "ensembles": ensembles_table(collection, costs),
        "cost": costs,
        "alignment": alignment_table(collection),
        "precision": precision_table(collection),
        "timing": timing_table(collection),
    }
    if any(folder.record.transferred for folder in results):
        tables["transfer"] = transfer_table(collection)
    if any(folder.record.likelihoods for folder in results):
        tables["likelihood"] = likelihood_table(collection)
    if any(folder.record.other_widths for folder in results):
        tables["other_widths"] = other_widths_table(collection)
    for family, level in swept_families(results[0].record).items():
        tables[f"sweep_{family}"] = sweep_table(collection, costs, family, level)
    for name, table in tables.items():
        bold = best_accuracies(table) if name == "accuracy" else None
        write_table(table, output / f"{name}.csv", bold)
    with replacing(summary) as partial:
        partial.write_text(_summary(collection, tables))
    with replacing(output / RECORD.name) as partial:
        partial.write_text(results[0].record.model_dump_json(indent=1) + "\n")


def _summary(collection: Collection, tables: dict[str, pd.DataFrame]) -> str:
    lines = "".join(f"- {line}\n" for line in summary_lines(collection, tables))
    return f"# What was found\n\n{lines}"


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument(
        "results", nargs="+", type=Path, help="results folders, merged where there are several"
    )
    options.add_argument("--settings", help="what was asked for, as JSON; else what each folder's tables say")
    options.add_argument("--output", required=True, type=Path)
    options.add_argument("--summary", type=Path, help="default: summary.md beside the tables")
    args = options.parse_args()
    if args.settings:
        record = parse_settings(ExperimentRecord, args.settings)
        results = [Results(root, record) for root in args.results]
    else:
        results = [Results.open(root) for root in args.results]
    tabulate(results, args.output, args.summary or args.output / "summary.md")


if __name__ == "__main__":
    run(main)
