"""Order of classes, the same for images, texts and tables; and checks for data that cannot be learned."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from dwf_steps.runtime.errors import InputError

Name = TypeVar("Name", str, int, float)
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
SHOWN = 10  # names, at most, in a message


def in_order(names: Iterable[Name]) -> list[Name]:
    """Sort the distinct names of classes; the order numbers the outputs.

    Parameters
    ----------
    names
        Names of classes, with repetitions.

    Returns
    -------
    The distinct names: numbers by value, then other names alphabetically.
    """
    return sorted(set(names), key=_order)


def _order(name: str | int | float) -> tuple[bool, float, str]:
    text = str(name)
    if not NUMBER.fullmatch(text):
        return True, 0, text
    # Floats do not represent all integers above 2^53.
    return False, float(text) if re.search(r"[.eE]", text) else int(text), text


def listed(names: Sequence[str]) -> str:
    """Format names for a message.

    Parameters
    ----------
    names
        The names.

    Returns
    -------
    The first `SHOWN` names, and the number of further ones.
    """
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def require_two_of_each(names: Sequence[Name], where: Path | str, place: Callable[[int], str]) -> None:
    """Reject classes with a single example, which is most often a mislabelled one.

    Parameters
    ----------
    names
        The class of each example.
    where
        The file or folder that holds the examples, for messages.
    place
        Describes the location of an example, given its index.

    Raises
    ------
    InputError
        If a class has one example.
    """
    single = in_order(name for name, count in Counter(names).items() if count == 1)
    if single:
        others = f" ({len(single)} classes have one)" if len(single) > 1 else ""
        raise InputError(
            f"{where}: class {single[0]!r} has a single example, {place(names.index(single[0]))}{others}; it "
            "cannot be both learned and tested: correct the label, remove the example or add others of its "
            "class"
        )


def require_different(inputs: np.ndarray, where: Path | str, what: str) -> None:
    """Reject inputs that are all equal.

    Parameters
    ----------
    inputs
        (m, ...).
    where
        The file or folder that holds them, for messages.
    what
        What they are, for messages.

    Raises
    ------
    InputError
        If they are all equal.
    """
    if len(inputs) > 1 and all(np.array_equal(one, inputs[0]) for one in inputs):
        raise InputError(f"{where}: all {len(inputs)} {what} are the same; correct the data")
