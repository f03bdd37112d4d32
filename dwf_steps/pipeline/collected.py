"""The tables and figures of an experiment: their files, captions and code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dwf_steps.pipeline.fingerprint import fingerprint
from dwf_steps.reporting import registry
from dwf_steps.reporting.record import ExperimentRecord


class Collected:
    """The names of an experiment's tables and figures, and their files."""

    def __init__(self, record: ExperimentRecord) -> None:
        self.tables, self.figures = registry.names("table", record), registry.names("figure", record)
        self.captions = [f"results/captions/{name}.rst" for name in registry.captions(record)]

    def table_makers(self, _wildcards: Any) -> list[str]:
        """Return the fingerprints of the modules that make tables, which the step imports by name."""
        return [fingerprint(module) for module in registry.modules("table")]

    def figure_makers(self, _wildcards: Any) -> list[str]:
        """Return the fingerprints of the modules that draw figures."""
        return [fingerprint(module) for module in registry.modules("figure")]

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
        """Return the path of a table's or figure's caption, which `tabulate` writes."""
        return str(Path(f"results/captions/{name}.rst").resolve())
