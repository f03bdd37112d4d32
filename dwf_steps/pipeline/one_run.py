"""One run at a time in a directory, which ends with its steps on SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
import snakemake.exceptions
from snakemake.exceptions import LockException, WorkflowError

from dwf_steps.runtime.errors import TERMINATED
from dwf_steps.runtime.run_lock import Holder, read_run, record_run, refusal

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

PAUSE = 0.1  # seconds between searches for steps that started after the run was told to end


class LockedDirectory(LockException):
    """Snakemake's refusal, with a message that distinguishes a run at work from one that was killed."""

    def __init__(self) -> None:
        WorkflowError.__init__(self, refusal())


def one_run_at_a_time(workflow: Workflow, at_start: Callable[[], None] = lambda: None) -> None:
    """Guard the working directory of a workflow.

    A second run, and ``--unlock`` while the first is at work, are told which run holds the directory. SIGTERM
    ends the run and its steps as Ctrl-C does, and leaves no lock.

    Parameters
    ----------
    workflow
        Snakemake's, while its rules are being read.
    at_start
        Called when work is about to start.
    """
    # Snakemake alone decides whether a directory is locked, before any hook of the workflow is called.
    snakemake.exceptions.LockException = LockedDirectory
    unlock = workflow.unlock

    def unlock_unless_at_work() -> None:
        holder, run = read_run()
        if holder is Holder.ALIVE:
            raise WorkflowError(
                f"Not unlocked: a run is at work in this directory: {run}. Wait for its end, following it "
                "with `make status`, or end it with `kill` and its process number on that host: its steps "
                "save their state, and it takes its lock with it."
            )
        unlock()

    def start(log: Any) -> None:  # noqa: ARG001
        record_run()
        at_start()
        signal.signal(signal.SIGTERM, _end_with_steps)

    workflow.unlock = unlock_unless_at_work
    workflow.onstart(start)
    # The graph of jobs is built under the lock, which an exception releases. The scheduler replaces this.
    signal.signal(signal.SIGTERM, _end)


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(TERMINATED)


def _end_with_steps(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Let Snakemake shut down as on Ctrl-C: it cancels cluster jobs, and waits for steps on this machine.

    On SIGTERM, Snakemake would let running steps finish.
    """
    threading.Thread(target=_terminate_steps, daemon=True).start()
    raise KeyboardInterrupt


def _terminate_steps() -> NoReturn:
    """Send SIGTERM to every step once, including steps that are just starting, until this process ends."""
    told: set[psutil.Process] = set()
    while True:
        for child in psutil.Process().children():
            # Others are left alone: `scancel`, by which Snakemake ends a cluster's jobs.
            with suppress(psutil.NoSuchProcess):
                if child not in told and any("dwf_steps." in word for word in child.cmdline()):
                    child.terminate()
                    told.add(child)
        time.sleep(PAUSE)
