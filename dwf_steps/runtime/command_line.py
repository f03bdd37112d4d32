"""The command line that all steps share: settings as JSON, a log with times, error messages for users."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from dwf_steps.runtime.errors import TERMINATED, InputError, NumericalError
from dwf_steps.runtime.numbered import numbered

Settings = TypeVar("Settings", bound=BaseModel)


def parser(
    description: str | None, *paths: str, several: Sequence[str] = (), settings: bool = True
) -> argparse.ArgumentParser:
    """Return a parser for a step's command line.

    Parameters
    ----------
    description
        The step's docstring; its first line describes the command.
    paths
        Names of required options that take a path. ``data-dir`` alone may be empty: scikit-learn's data sets
        and tables do not need a folder.
    several
        Names of options that take files which differ in a number, as `numbered` reads them; they may be
        empty.
    settings
        Whether to add a required ``--settings``, which takes JSON.

    Returns
    -------
    The parser.
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
    """Validate the settings that a rule passes to its step.

    Parameters
    ----------
    model
        The class of the step's settings.
    text
        The settings as JSON.

    Returns
    -------
    The settings.

    Raises
    ------
    InputError
        If the JSON does not match the class.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"--settings does not fit this step: {error}") from error


def run(main: Callable[[], None]) -> None:
    """Call a step's main function with logging and signal handling set up.

    An `InputError`, a `NumericalError`, or a GPU that is out of memory, ends the process with a message and
    without a traceback.
    SIGTERM, which the process also receives when its parent ends (`runtime.parent`), ends it with status 143
    after partial outputs have been removed.

    Parameters
    ----------
    main
        Parses the command line and runs the step.

    Raises
    ------
    SystemExit
        With the message of an error that the user can fix, or after SIGTERM.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    sys.unraisablehook = _ask_again
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except (InputError, NumericalError) as error:
        sys.exit(f"error: {error}")
    except RuntimeError as error:
        if message := _of_memory(error):
            sys.exit(f"error: {message}")
        raise


def _of_memory(error: RuntimeError) -> str | None:
    """Return the message for an error caused by a lack of GPU memory; None for other errors."""
    if "torch" not in sys.modules:
        return None
    from dwf_steps.runtime.memory import exhausted, is_exhausted

    return exhausted(error) if is_exhausted(error) else None


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


def _ask_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Raise SIGTERM's exit again if it was raised inside a finaliser, where Python discards exceptions."""
    if isinstance(unraisable.exc_value, SystemExit):
        signal.signal(signal.SIGALRM, _terminate)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
    else:
        sys.__unraisablehook__(unraisable)
