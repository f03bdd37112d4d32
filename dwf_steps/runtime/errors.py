"""How a step ends early: with a message for the user, or on request."""

import signal

TERMINATED = 128 + signal.SIGTERM  # the exit status that shells give a process ended by SIGTERM


class InputError(ValueError):
    """Input that cannot be used: says what, where, the value found, what was expected, what to do."""
