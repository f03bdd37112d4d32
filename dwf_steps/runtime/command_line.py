"""What every step's command line shares: settings as JSON, a log with times, errors for users."""

import argparse
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from dwf_steps.runtime.errors import TERMINATED, InputError
from dwf_steps.runtime.numbered import numbered

Settings = TypeVar("Settings", bound=BaseModel)


def parser(
    description: str | None, *paths: str, several: Sequence[str] = (), settings: bool = True
) -> argparse.ArgumentParser:
    """Return a parser with a required option for every path, and ``--settings`` as JSON.

    ``--data-dir`` alone may be left empty: data sets inside scikit-learn and tables need no folder.

    Parameters
    ----------
    several
        Options that stand for files which differ in a number, as `numbered` reads them.
    """
    result = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    if settings:
        result.add_argument("--settings", required=True, help="the step's settings, as JSON")
    for name in paths:
        optional = name == "data-dir"
        result.add_argument(f"--{name}", type=Path, required=not optional, nargs="?" if optional else None)
    for name in several:
        result.add_argument(
            f"--{name}", type=numbered, required=True, nargs="?", const=[], help="shard-[0..11].json"
        )
    return result


def parse_settings(model: type[Settings], text: str) -> Settings:
    """Validate the JSON that a rule passes to its step."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"--settings does not fit this step: {error}") from error


def run(main: Callable[[], None]) -> None:
    """Call ``main`` with logging set up; an `InputError` ends the process with its message alone.

    SIGTERM ends the process with status 143 after partial outputs have been removed; where the environment
    variable DWF_ENDS_WITH_PARENT is set, so does the end of the parent process (on Linux).
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    signal.signal(signal.SIGTERM, _terminate)
    if os.environ.get("DWF_ENDS_WITH_PARENT") and sys.platform == "linux":
        _end_with_parent()
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends: prctl(2), PR_SET_PDEATHSIG."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)
