"""One run at a time in a directory: who holds Snakemake's lock, and what a second run is told.

Snakemake locks a directory with files that outlive a killed run, and says in them nothing about who wrote
them. A run therefore leaves a record beside them and keeps it locked with the operating system, which
releases it when the process ends, however it ends.
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

LOCKS = Path(".snakemake/locks")  # removed whole when a run ends, and by --unlock
INCOMPLETE = Path(".snakemake/incomplete")
RECORD = "run.json"

_held: list[TextIO] = []


class Holder(Enum):
    """What is known of the run that locked a directory."""

    NONE = "no lock"
    ALIVE = "running"
    GONE = "killed"
    UNSEEN = "not to be seen from here"
    UNNAMED = "no record"


@dataclass(frozen=True)
class Run:
    """A run: its process, the host it runs on, when it ``started`` (seconds since 1970), its command."""

    pid: int
    host: str
    started: float
    command: str

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.started))
        return f"process {self.pid} on host {self.host}, started {since} (`{self.command}`)"


@dataclass(frozen=True)
class Marker:
    """Snakemake's note that a job has started: when, and its identifier on the cluster if it has one."""

    started: float
    external_jobid: str | None


def record_run(locks: Path = LOCKS) -> None:
    """Write down that this process runs, and keep the record locked until it ends."""
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
    """Return what is known of the run that locked the directory."""
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
    """Return whether the file could be locked; None where the file system has no locks."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def read_markers(folder: Path = INCOMPLETE) -> dict[str, Marker]:
    """Return Snakemake's notes on jobs that have started and not ended, by output file."""
    markers = {}
    for path in folder.rglob("*"):
        # The name of an output in base64, divided over folders beginning with @ where it is long.
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
    """Return the identifiers of the cluster's jobs among those started after ``since``."""
    found = {m.external_jobid for m in markers.values() if m.external_jobid and m.started >= since}
    return sorted(found)


def steps_at_work() -> list[int]:
    """Return the processes on this host that run a step in this directory (none where there is no /proc)."""
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
    """Return what to tell a run that finds the directory locked: by whom, and how to proceed."""
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
                f"Another run is at work in this directory: {run}. Nothing was started. Wait for its end, "
                "following it with `make status`, or start this one in another copy of the directory."
            )
        case Holder.GONE:
            return f"A run was killed in this directory and left its lock: {run}. To go on, {clean_up}"
        case Holder.UNSEEN:
            return (
                f"This directory is locked by a run that cannot be seen from here: {run}. Look there whether "
                f"it is still at work; if so, wait for its end. If not, {clean_up}"
            )
        case _:
            return (
                "This directory is locked by a run that is just starting, or was killed while it did. Try "
                "again in a minute. If the lock is still there, and no run in `pgrep -af snakemake`, "
                f"{clean_up}"
            )
