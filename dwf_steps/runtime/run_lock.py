"""One run at a time per directory: who holds Snakemake's lock, and the message for a second run.

Snakemake locks a directory with files that outlive a killed run, and that do not identify the process which
wrote them. A run therefore leaves a record beside them and locks it through the operating system, which
releases the lock however the process ends.
"""

import base64
import fcntl
import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import TextIO

LOCKS = Path(".snakemake/locks")  # removed as a whole when a run ends, and by --unlock
INCOMPLETE = Path(".snakemake/incomplete")
RECORD = "run.json"

_held: list[TextIO] = []


class Holder(Enum):
    """State of the run that locked a directory."""

    NONE = "no lock"
    ALIVE = "running"
    GONE = "killed"
    UNSEEN = "not to be seen from here"
    UNNAMED = "no record"


@dataclass(frozen=True)
class Run:
    """A run: its process, its host, when it ``started`` (seconds since 1970) and its command."""

    pid: int
    host: str
    started: float
    command: str

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.started))
        return f"process {self.pid} on host {self.host}, started {since} (`{self.command}`)"


@dataclass(frozen=True)
class Marker:
    """Snakemake's note that a job has started: when, and its identifier on the cluster, if any."""

    started: float
    external_jobid: str | None


def record_run(locks: Path = LOCKS) -> None:
    """Record that this process is running the workflow, and lock the record until the process ends.

    Parameters
    ----------
    locks
        The folder of Snakemake's locks.
    """
    command = " ".join(["snakemake", *sys.argv[1:]])
    run = Run(os.getpid(), socket.gethostname(), time.time(), command)
    partial = locks / f"{RECORD}.{run.pid}"
    file = partial.open("w", encoding="utf-8")
    _try_lock(file, fcntl.LOCK_EX)
    json.dump(asdict(run), file)
    file.flush()
    partial.replace(locks / RECORD)
    _held.append(file)


def read_run(locks: Path = LOCKS) -> tuple[Holder, Run | None]:
    """Find out which run locked the directory.

    Parameters
    ----------
    locks
        The folder of Snakemake's locks.

    Returns
    -------
    The run's state, and the run itself if it left a record.
    """
    if not any(locks.glob("*.lock")):
        return Holder.NONE, None
    try:
        with (locks / RECORD).open(encoding="utf-8") as file:
            free = _try_lock(file, fcntl.LOCK_SH)
            run = Run(**json.load(file))
    except FileNotFoundError:
        return Holder.UNNAMED, None
    if free is False:
        return Holder.ALIVE, run
    # On some network file systems a host does not see the locks of another.
    seen = free and run.host == socket.gethostname()
    return (Holder.GONE if seen else Holder.UNSEEN), run


def _try_lock(file: TextIO, kind: int) -> bool | None:
    """Return whether the file could be locked; None if the file system does not support locks."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def read_markers(folder: Path = INCOMPLETE) -> dict[str, Marker]:
    """Read Snakemake's notes on jobs that have started and not ended.

    Parameters
    ----------
    folder
        The folder of the notes.

    Returns
    -------
    The notes by output file.
    """
    markers = {}
    for path in folder.rglob("*"):
        # The output's name in base64; long names are split into folders that begin with @.
        name = "".join(part.removeprefix("@") for part in path.relative_to(folder).parts)
        try:
            if path.is_file():
                content = json.loads(path.read_text(encoding="utf-8") or "{}")
                output = base64.urlsafe_b64decode(name).decode()
                markers[output] = Marker(path.stat().st_mtime, content.get("external_jobid"))
        except (FileNotFoundError, ValueError):  # removed or being written at this moment
            continue
    return markers


def cluster_jobs(markers: dict[str, Marker], since: float) -> list[str]:
    """Return the identifiers of the cluster jobs that started at or after a given time.

    Parameters
    ----------
    markers
        Snakemake's notes by output file.
    since
        Seconds since 1970.

    Returns
    -------
    The identifiers, sorted and distinct.
    """
    found = {m.external_jobid for m in markers.values() if m.external_jobid and m.started >= since}
    return sorted(found)


def steps_at_work() -> list[int]:
    """Find the processes on this host that run a step in this directory.

    Returns
    -------
    Process identifiers, sorted; none on systems without /proc.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").samefile(Path.cwd())
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # another user's, or ended at this moment
            continue
        module = next((value for key, value in pairwise(words) if key == "-m"), "")
        if here and module.startswith("dwf_steps.") and module != "dwf_steps.cli.status":
            found.append(int(process.name))
    return sorted(found)


def refusal(locks: Path = LOCKS, incomplete: Path = INCOMPLETE) -> str:
    """Return the message for a run that finds the directory locked: who holds the lock, and what to do.

    Parameters
    ----------
    locks
        The folder of Snakemake's locks.
    incomplete
        The folder of Snakemake's notes on jobs that have not ended.

    Returns
    -------
    A paragraph.
    """
    holder, run = read_run(locks)
    jobs = cluster_jobs(read_markers(incomplete), run.started if run else 0.0)
    steps = " ".join(map(str, steps_at_work()))
    orders = [f"`kill {steps}`"] * bool(steps) + [f"`scancel {' '.join(jobs)}`"] * bool(jobs)
    end = f"end the jobs that it left running ({' and '.join(orders)}), " if orders else ""
    clean_up = (
        f"{end}remove the lock with `snakemake --unlock`, and start again: what is finished is kept, and "
        "interrupted training continues."
    )
    match holder:
        case Holder.ALIVE:
            return (
                f"Another run is at work in this directory: {run}. Nothing was started. Wait until it ends "
                "(`make status` shows its progress), or start this one in another copy of the directory."
            )
        case Holder.GONE:
            return f"A run was killed in this directory and left its lock: {run}. To go on, {clean_up}"
        case Holder.UNSEEN:
            return (
                f"This directory is locked by a run that cannot be seen from here: {run}. Check on that host "
                f"whether it is still running; if so, wait until it ends. If not, {clean_up}"
            )
        case _:
            return (
                "This directory is locked by a run that is just starting, or was killed while starting. Try "
                "again in a minute. If the lock is still there, and `pgrep -af snakemake` shows no run, "
                f"{clean_up}"
            )
