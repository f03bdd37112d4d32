"""How a step ends early: with a message for the user, or on request."""

import signal
from collections.abc import Sequence

TERMINATED = 128 + signal.SIGTERM  # the exit status that shells give a process ended by SIGTERM
PROBLEMS_NAMED = 20  # in one message


class InputError(ValueError):
    """Input that cannot be used: says what, where, the value found, what was expected, what to do."""

    @classmethod
    def of(cls, what: str, problems: Sequence[str]) -> "InputError":
        """Return one error for many problems, a line for each, the first of them if there are more than
        `PROBLEMS_NAMED`."""
        more = f"\n  ... and {len(problems) - PROBLEMS_NAMED} more" if len(problems) > PROBLEMS_NAMED else ""
        listing = "\n".join(f"  - {problem}" for problem in problems[:PROBLEMS_NAMED])
        return cls(f"{what}:\n{listing}{more}")
