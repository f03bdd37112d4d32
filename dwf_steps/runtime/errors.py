"""Errors that end a step early, with a message for the user."""

import signal
from collections.abc import Sequence

TERMINATED = 128 + signal.SIGTERM  # the exit status that shells give a process ended by SIGTERM
PROBLEMS_NAMED = 20  # at most, in one message


class InputError(ValueError):
    """Input that cannot be used.

    The message says what is wrong and where, the value found, what was expected and what to do.
    """

    @classmethod
    def of(cls, what: str, problems: Sequence[str]) -> "InputError":
        """Return one error for many problems, one per line, `PROBLEMS_NAMED` of them at most."""
        more = f"\n  ... and {len(problems) - PROBLEMS_NAMED} more" if len(problems) > PROBLEMS_NAMED else ""
        listing = "\n".join(f"  - {problem}" for problem in problems[:PROBLEMS_NAMED])
        return cls(f"{what}:\n{listing}{more}")


class NumericalError(FloatingPointError):
    """A computation went wrong: weights or a loss are not finite, or a function changed that must not.

    Its message says what, where, the value found, what was expected and what to do.
    """
