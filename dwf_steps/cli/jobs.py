"""What each job of the workflow is at, and which files below results/ belong to none."""

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
LAST_LOGS = 20  # searched for the last run; `--unlock`, `--report` and others log there too
RESULTS = Path("results")
TAIL_BYTES = 2**16
LOGGED = re.compile(r"\d\d:\d\d:\d\d ")  # how a step's own lines begin; a traceback does not
BESIDE = (RESULTS / "report.html",)  # made by `snakemake --report`, no rule's output


class State(Enum):
    """What a job is at."""

    DONE = "done"
    RUNNING = "running"
    QUEUED = "queued"
    FAILED = "failed"
    KILLED = "killed"
    TO_RUN = "to run"


@dataclass(frozen=True)
class Job:
    """A job of the workflow: its files, and why it would run now; no ``reasons`` where it is done."""

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
    """A file or folder that no job makes: ``files`` in it, and their size in bytes."""

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
    """Return what each job is at.

    Parameters
    ----------
    holder, run
        Of the directory's lock.
    markers
        Snakemake's notes on jobs that have started and not ended, by output.
    failures
        What Snakemake says of jobs that failed in the last run, by output.
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
    """Return whether the last attempt left no output, and a log that ends without a line of `logging`."""
    if job.log is None or any(Path(output).exists() for output in job.outputs):
        return False
    line = last_line(Path(job.log))
    return bool(line) and not LOGGED.match(line)


def last_line(log: Path) -> str:
    """Return the last line that is not empty; nothing where there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = re.split(r"[\r\n]+", file.read().decode(errors="replace"))
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def read_failures(folder: Path = SNAKEMAKE_LOGS) -> dict[str, str]:
    """Return what Snakemake's log of the last run says of jobs that failed, by output.

    With ``--quiet`` it says nothing of them.
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
    """Return what lies below ``base`` and is made by none of the jobs, whole folders as one."""
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
    """Return whether a file is the partial output or the checkpoint of a job that is not done."""
    name = path.name.partition(PARTIAL)[0].removesuffix(CHECKPOINT)
    return name != path.name and any(
        output.parent == path.parent and name in (output.name, output.stem) for output in pending
    )


def _size(path: Path) -> tuple[int, int] | None:
    """Return the number of files and their bytes; None for a folder without files."""
    files = [path] if not path.is_dir() else [p for p in path.rglob("*") if not p.is_dir()]
    return (len(files), sum(p.lstat().st_size for p in files)) if files else None
