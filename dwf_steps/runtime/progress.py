"""Progress of long loops: lines in the log, and a bar on a terminal."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import ExitStack
from typing import ClassVar, Self, TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

SHORT = 1.0  # seconds; shorter loops log nothing
PAUSE = 5.0  # minimum time between two lines, in seconds
PAUSE_SHARE = 0.01  # the same relative to the elapsed time: a loop of a day writes a few hundred lines


def progress(items: Iterable[Item], unit: str, total: int | None = None) -> Iterator[Item]:
    """Iterate over items, reporting how many are done.

    Parameters
    ----------
    items
        The items.
    unit
        What is counted, in the singular.
    total
        The number of items, if they have no length; None if it is unknown.

    Yields
    ------
    The items.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(unit, total) as report:
        for item in items:
            yield item
            report.advance()


class Progress:
    """Logs a loop's count, rate and remaining time: after a second, then at intervals, and at the end.

    On a terminal a bar replaces all lines but the last. A loop inside another one that reports logs nothing.

    Parameters
    ----------
    unit
        What is counted, in the singular.
    total
        The total number; None if it is unknown.
    done
        The number done by an earlier process: they count as done, but do not enter the rate.
    clock
        Returns monotonic time in seconds.

    Attributes
    ----------
    facts
        Further values to report, name -> value, such as the loss. Callers may change them at any time.
    """

    _reporting: ClassVar[int] = 0

    def __init__(
        self,
        unit: str,
        total: int | None,
        done: int = 0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unit, self.total, self.done = unit, total, done
        self.facts: dict[str, float | str] = {}
        self._first, self._clock = done, clock

    def __enter__(self) -> Self:
        self._nested = Progress._reporting > 0
        Progress._reporting += 1
        self._started = self._clock()
        self._next_line = self._started + SHORT
        self._open = ExitStack()
        self._bar = self._open.enter_context(self._new_bar()) if sys.stderr.isatty() else None
        if self._bar is not None:
            self._open.enter_context(logging_redirect_tqdm())
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        Progress._reporting -= 1
        seconds = self._clock() - self._started
        if not self._nested and seconds >= SHORT and self.done > self._first:
            logger.info("%s, took %s", self._state(seconds), duration(seconds))

    def advance(self, by: int = 1) -> None:
        """Count ``by`` more as done."""
        self.done += by
        if self._bar is not None:
            if self._bar.update(by):
                self._bar.set_postfix_str(", ".join(self._facts()), refresh=False)
            return
        now = self._clock()
        if self._nested or now < self._next_line or self.done == self.total:
            return
        seconds = now - self._started
        self._next_line = now + max(PAUSE, PAUSE_SHARE * seconds)
        state = self._state(seconds)
        if self.total is None:
            logger.info("%s", state)
        else:
            left = seconds / (self.done - self._first) * (self.total - self.done)
            logger.info("%s, %s to go", state, duration(left))

    def _state(self, seconds: float) -> str:
        count = f"{self.unit} {self.done}" + ("" if self.total is None else f"/{self.total}")
        each = duration(seconds / (self.done - self._first))
        return ", ".join([count, *self._facts(), f"{each} each"])

    def _facts(self) -> list[str]:
        return [
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in self.facts.items()
        ]

    def _new_bar(self) -> tqdm:
        return tqdm(
            total=self.total,
            initial=self.done,
            unit=f" {self.unit}",
            file=sys.stderr,
            delay=SHORT,
            leave=False,
            dynamic_ncols=True,
        )


def duration(seconds: float) -> str:
    """Format a duration for people.

    Parameters
    ----------
    seconds
        The duration.

    Returns
    -------
    Such as ``2.31 ms``, ``12 s``, ``3 min`` or ``5.2 h``.
    """
    if seconds < 0.9995:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
