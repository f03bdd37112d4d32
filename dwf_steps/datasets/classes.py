"""Names of classes, in one order for images, texts and tables; and data that nothing can be learned from."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from dwf_steps.runtime.errors import InputError

Name = TypeVar("Name", str, int, float)
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
SHOWN = 10  # names that a message lists at most


def in_order(names: Iterable[Name]) -> list[Name]:
    """Return the different names of classes in the order of the outputs that stand for them: numbers by
    value, then other names by spelling."""
    return sorted(set(names), key=_order)


def _order(name: str | int | float) -> tuple[bool, float, str]:
    text = str(name)
    if not NUMBER.fullmatch(text):
        return True, 0, text
    # A float holds no integer above 2^53 exactly.
    return False, float(text) if re.search(r"[.eE]", text) else int(text), text


def listed(names: Sequence[str]) -> str:
    """Return names as a message shows them, the first few of many."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def require_two_of_each(names: Sequence[Name], where: Path | str, place: Callable[[int], str]) -> None:
    """Refuse classes with a single example, which is most often a wrong label.

    Parameters
    ----------
    names
        The class of every example.
    where
        The file or folder that holds them.
    place
        Says where in it an example is, given its place among ``names``.

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
    """Refuse inputs (m, ...) that are all the same, which no network can tell apart.

    Raises
    ------
    InputError
        If they are.
    """
    if len(inputs) > 1 and all(np.array_equal(one, inputs[0]) for one in inputs):
        raise InputError(f"{where}: all {len(inputs)} {what} are the same; correct the data")
