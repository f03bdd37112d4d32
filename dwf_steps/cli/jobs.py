"""The state of each job of the workflow, and the files below results/ that belong to no job."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from dwf_steps.runtime.run_lock import Holder, Marker, Run
from dwf_steps.storage.atomic import PARTIAL
from dwf_steps.storage.texts import digest_file

CHECKPOINT = ".checkpoint"
SNAKEMAKE_LOGS = Path(".snakemake/log")
LAST_LOGS = 20  # log files searched for the last run; `--unlock`, `--report` and others write logs there too
RESULTS = Path("results")
TAIL_BYTES = 2**16
LOGGED = re.compile(r"\d\d:\d\d:\d\d ")  # how a step's own lines begin; a traceback does not
BESIDE = (RESULTS / "report.html",)  # written by `snakemake --report`, not the output of a rule


class State(Enum):
    """The state of a job."""

    DONE = "done"
    RUNNING = "running"
    QUEUED = "queued"
    FAILED = "failed"
    KILLED = "killed"
    TO_RUN = "to run"


@dataclass(frozen=True)
class Job:
    """A job of the workflow: its files, and the reasons to run it, none if it is done."""

    rule: str
    wildcards: str
    outputs: tuple[str, ...]
    log: str | None
    benchmark: str | None
    reasons: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.rule} {self.wildcards}".strip()


@dataclass(frozen=True)
class Stale:
    """A file or folder that is not the output of any job.

    Attributes
    ----------
    path
        Of the file or folder.
    files
        How many files it contains.
    size
        Of all of them, in bytes.
    """

    path: Path
    files: int
    size: int


def states(
    jobs: Iterable[Job],
    holder: Holder,
    run: Run | None,
    markers: Mapping[str, Marker],
    failures: Mapping[str, str],
) -> dict[Job, State]:
    """Determine the state of each job.

    Parameters
    ----------
    jobs
        The jobs.
    holder
        The state of the run that locks the directory.
    run
        That run, if it is known.
    markers
        Snakemake's notes on jobs that have started and not ended, by output.
    failures
        Snakemake's messages on jobs that failed in the last run, by output.

    Returns
    -------
    The state by job.
    """
    at_work = holder not in (Holder.NONE, Holder.GONE)
    result = {}
    for job in jobs:
        marker = next((markers[output] for output in job.outputs if output in markers), None)
        if not job.reasons:
            result[job] = State.DONE
        elif marker and at_work and (run is None or marker.started >= run.started):
            began = job.log is not None and _modified(Path(job.log)) >= marker.started - 1
            result[job] = State.RUNNING if began or not marker.external_jobid else State.QUEUED
        elif marker:
            result[job] = State.KILLED
        elif failures.keys() & set(job.outputs) or _ended_in_error(job):
            result[job] = State.FAILED
        else:
            result[job] = State.TO_RUN
    return result


def _modified(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


def _ended_in_error(job: Job) -> bool:
    """Return whether the last attempt left no output, and a log whose last line is not from `logging`."""
    if job.log is None or any(Path(output).exists() for output in job.outputs):
        return False
    line = last_line(Path(job.log))
    return bool(line) and not LOGGED.match(line)


def last_line(log: Path) -> str:
    """Read the last line of a log.

    Parameters
    ----------
    log
        The log file.

    Returns
    -------
    The last line that is not blank; empty if there is none.
    """
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = re.split(r"[\r\n]+", file.read().decode(errors="replace"))
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def read_failures(folder: Path = SNAKEMAKE_LOGS) -> dict[str, str]:
    """Read which jobs failed in the last run, and why, from Snakemake's log.

    With ``--quiet`` the log does not name them.

    Parameters
    ----------
    folder
        The folder of Snakemake's logs.

    Returns
    -------
    Snakemake's message, which may be empty, by output.
    """
    for path in sorted(folder.glob("*.snakemake.log"), reverse=True)[:LAST_LOGS]:
        text = path.read_text(encoding="utf-8", errors="replace")
        if "Select jobs to execute" not in text:
            continue
        failures = {}
        for block in re.findall(r"^ *Error in rule .*\n((?: {4,}.*\n)+)", text, re.M):
            facts = dict(re.findall(r"^ +(message|output): (.*)$", block, re.M))
            message = facts.get("message", "None")
            for output in facts.get("output", "").split(", "):
                failures[output] = "" if message == "None" else message
        return failures
    return {}


def stale(jobs: Iterable[Job], base: Path = RESULTS) -> list[Stale]:
    """Find files that are not outputs, logs or benchmarks of any job.

    Parameters
    ----------
    jobs
        All jobs of the workflow.
    base
        The folder to search.

    Returns
    -------
    The files, sorted by path; a folder without known files is one entry.
    """
    jobs = list(jobs)
    known = set(BESIDE)
    for job in jobs:
        known.update(map(Path, job.outputs))
        known.update(digest_file(Path(output)) for output in job.outputs)
        known.update(Path(path) for path in (job.log, job.benchmark) if path)
    folders = {parent for path in known for parent in path.parents}
    pending = {Path(output) for job in jobs if job.reasons for output in job.outputs}
    found = []
    waiting = [base] if base.is_dir() else []
    while waiting:
        for entry in sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name):
            path = Path(entry.path)
            if path in known or _belongs_to(path, pending):
                continue
            if path in folders:
                waiting.append(path)
            elif size := _size(path):
                found.append(Stale(path, *size))
    return sorted(found, key=lambda entry: entry.path)


def _belongs_to(path: Path, pending: set[Path]) -> bool:
    """Return whether a file is the partial output or the checkpoint of an unfinished job."""
    name = path.name.partition(PARTIAL)[0].removesuffix(CHECKPOINT)
    return name != path.name and any(
        output.parent == path.parent and name in (output.name, output.stem) for output in pending
    )


def _size(path: Path) -> tuple[int, int] | None:
    """Return the number of files and their size in bytes; None for a folder without files."""
    files = [path] if not path.is_dir() else [p for p in path.rglob("*") if not p.is_dir()]
    return (len(files), sum(p.lstat().st_size for p in files)) if files else None
