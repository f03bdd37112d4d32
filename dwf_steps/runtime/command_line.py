"""What every step's command line shares: settings as JSON, a log with times, errors for users."""

import argparse
import logging
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
    """Call ``main`` with logging set up; an `InputError`, and a GPU without memory left, end the process with
    a message alone.

    SIGTERM, which also comes when the parent ends (`runtime.parent`), ends the process with status 143 after
    partial outputs have been removed. Before this call it ends the process at once: there are none yet.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    sys.unraisablehook = _ask_again
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
    except RuntimeError as error:
        if message := _of_memory(error):
            sys.exit(f"error: {message}")
        raise


def _of_memory(error: RuntimeError) -> str | None:
    """Return what to say of an error that a GPU's memory is behind; steps without PyTorch have none."""
    if "torch" not in sys.modules:
        return None
    from dwf_steps.runtime.memory import exhausted, is_exhausted

    return exhausted(error) if is_exhausted(error) else None


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


def _ask_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Repeat a SIGTERM that came inside a finaliser, where Python drops exceptions, once that has ended."""
    if isinstance(unraisable.exc_value, SystemExit):
        signal.signal(signal.SIGALRM, _terminate)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
    else:
        sys.__unraisablehook__(unraisable)
