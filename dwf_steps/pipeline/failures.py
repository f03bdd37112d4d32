"""Logs of failed steps, shown even in a quiet run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake.settings.enums import Quietness

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

LINES = 100  # of a log that are shown at most, the last ones


def show_failed_logs(workflow: Workflow) -> None:
    """Make a run with ``--quiet rules`` end with the logs of its failed steps, which Snakemake would hide.

    Without that option, the profile's `show-failed-logs` shows each log when its step fails.

    Parameters
    ----------
    workflow
        Snakemake's, while its rules are being read.
    """

    def show(log: Any) -> None:  # noqa: ARG001
        if Quietness.RULES not in (workflow.output_settings.quiet or ()):
            return
        for failed in workflow.scheduler.failed:
            for job in failed.jobs if failed.is_group() else [failed]:
                for path in map(str, job.log):
                    sys.stderr.write(f"\n{job.rule.name} failed. {_end_of(Path(path))}\n")

    workflow.onerror(show)


def _end_of(log: Path) -> str:
    """Return a log's last lines below a title."""
    if not log.is_file():
        return f"It wrote no log, {log}."
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    title = f"Its log, {log}" + (f", ends with:\n(... {len(lines) - LINES} lines)" if lines[LINES:] else ":")
    return "\n".join([title, *lines[-LINES:]])
