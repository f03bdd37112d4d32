"""Collect the result tables, each as csv, md and tex."""

from pathlib import Path

from dwf_steps.config.section import Section
from dwf_steps.reporting.tables import (
    accuracy_table,
    alignment_table,
    novelty_table,
    precision_table,
    timing_table,
    write_table,
)
from dwf_steps.step import parse_settings, parser, run


class TabulateSettings(Section):
    """How many networks each stage's seconds are divided by: of each zoo, and of each generator."""

    zoo_networks: dict[str, int]
    samples: dict[str, int]


def tabulate(
    settings: TabulateSettings,
    metrics: list[Path],
    zoo_metrics: list[Path],
    alignments: list[Path],
    generated: list[Path],
    benchmarks: list[Path],
    output: Path,
) -> None:
    """Write all tables into the folder ``output``."""
    tables = {
        "accuracy": accuracy_table(metrics, zoo_metrics),
        "novelty": novelty_table(metrics, zoo_metrics),
        "alignment": alignment_table(alignments),
        "precision": precision_table(generated),
        "timing": timing_table(benchmarks, settings.zoo_networks, settings.samples),
    }
    for name, table in tables.items():
        write_table(table, output / f"{name}.csv")


def main() -> None:
    options = parser(__doc__, "output")
    for name in ("metrics", "zoo-metrics", "alignments", "generated", "benchmarks"):
        options.add_argument(f"--{name}", required=True, nargs="+", type=Path)
    args = options.parse_args()
    settings = parse_settings(TabulateSettings, args.settings)
    tabulate(
        settings,
        args.metrics,
        args.zoo_metrics,
        args.alignments,
        args.generated,
        args.benchmarks,
        args.output,
    )


if __name__ == "__main__":
    run(main)
