"""Which tables and figures an experiment has."""

from __future__ import annotations

from typing import Any

from dwf_steps.pipeline.paths import Paths
from dwf_steps.pipeline.record import record_of
from dwf_steps.reporting.sweeps import swept_families

TABLES = (
    *("accuracy", "novelty", "distances", "sets", "novelty_accuracy", "ensembles", "cost"),
    *("alignment", "precision", "timing"),
)
FIGURES = ("accuracy_at_novelty", "accuracy_against_iou", "ensembles", "explained_variance", "flow_loss")


class Collected:
    """The names of an experiment's tables and figures, and their files."""

    def __init__(self, paths: Paths) -> None:
        self.swept = [f"sweep_{family}" for family in swept_families(record_of(paths.experiment))]
        transfer = ["transfer"] if paths.transferred else []
        likelihood = ["likelihood"] if paths.likelihoods else []
        other_widths = ["other_widths"] if paths.other_widths else []
        self.tables = [*TABLES, *self.swept, *transfer, *likelihood, *other_widths]
        self.figures = [*FIGURES, *self.swept, *transfer]

    @property
    def table_files(self) -> list[str]:
        return [f"results/tables/{name}.{kind}" for name in self.tables for kind in ("csv", "md", "tex")]

    @property
    def figure_files(self) -> list[str]:
        return [f"results/figures/{name}.{kind}" for name in self.figures for kind in ("pdf", "png")]

    @property
    def files(self) -> list[str]:
        return [*self.table_files, *self.figure_files]

    def caption(self, name: str) -> str:
        """Return the file with a table's or figure's caption; all studies share one."""
        return f"../report/{'sweep' if name in self.swept else name}.rst"


def reported(collected: Collected, folder: str, name: str, kind: str, report: Any) -> Any:
    """Return a file that the report shows, with its caption; ``report`` is Snakemake's."""
    return report(
        f"results/{folder}/{name}.{kind}", caption=collected.caption(name), category=folder.capitalize()
    )
