"""Write the result tables of one results folder, or of several merged, each as csv, md and tex."""

import argparse
from pathlib import Path

import pandas as pd

from dwf_steps.reporting import registry
from dwf_steps.reporting.record import RECORD, ExperimentRecord
from dwf_steps.reporting.results import Collection, Results
from dwf_steps.reporting.summary import summary_lines
from dwf_steps.reporting.writing import write_table
from dwf_steps.runtime.command_line import parse_settings, run
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.texts import write_text


def tabulate(results: list[Results], output: Path, summary: Path, captions: Path) -> None:
    """Write all tables, a summary, and the captions of tables and figures.

    Repetitions within a folder and across folders are pooled; tables state their number and spread.

    Parameters
    ----------
    results
        The results folders.
    output
        The folder for the tables, and for the record of what the experiment asked for.
    summary
        A Markdown file with the main results.
    captions
        The folder for captions, ``{name}.rst``.

    Raises
    ------
    InputError
        If a result is missing or damaged.
    """
    collection, records = Collection(results), [folder.record for folder in results]
    tables = made(collection, list(registry.asked("table", *records)))
    for item in registry.asked("table", *records):
        table, bold = tables[item.name], item.exhibit.bold
        write_table(table, output / f"{item.name}.csv", registry.import_maker(bold)(table) if bold else None)
    for name, caption in registry.captions(*records).items():
        with replacing(captions / f"{name}.rst") as partial:
            partial.write_text(caption, encoding="utf-8")
    with replacing(summary) as partial:
        partial.write_text(_summary(collection, tables), encoding="utf-8")
    write_text(output / RECORD.name, records[0].model_dump_json(indent=1) + "\n")


def made(collection: Collection, items: list[registry.Asked]) -> dict[str, pd.DataFrame]:
    """Make tables, each after those that it depends on.

    Parameters
    ----------
    collection
        The results.
    items
        The tables to make.

    Returns
    -------
    The tables by name.
    """
    by_name, tables = {item.name: item for item in items}, dict[str, pd.DataFrame]()

    def make(item: registry.Asked) -> pd.DataFrame:
        if item.name not in tables:
            needed = [make(by_name[name]) for name in item.needs]
            maker = registry.import_maker(str(item.exhibit.table))
            tables[item.name] = maker(collection, *needed, *item.arguments)
        return tables[item.name]

    for item in items:
        make(item)
    return tables


def _summary(collection: Collection, tables: dict[str, pd.DataFrame]) -> str:
    lines = "".join(f"- {line}\n" for line in summary_lines(collection, tables))
    return f"# What was found\n\n{lines}"


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument(
        "results", nargs="+", type=Path, help="results folders, merged where there are several"
    )
    options.add_argument("--settings", help="the experiment, as JSON; default: the record beside the tables")
    options.add_argument("--output", required=True, type=Path)
    options.add_argument("--summary", type=Path, help="default: summary.md beside the tables")
    options.add_argument("--captions", type=Path, help="default: captions beside the tables")
    args = options.parse_args()
    if args.settings:
        record = parse_settings(ExperimentRecord, args.settings)
        results = [Results(root, record) for root in args.results]
    else:
        results = [Results.open(root) for root in args.results]
    output: Path = args.output
    tabulate(results, output, args.summary or output / "summary.md", args.captions or output / "captions")


if __name__ == "__main__":
    run(main)
