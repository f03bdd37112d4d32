"""The one exception whose message is written for the user."""


class InputError(ValueError):
    """Input that cannot be used: says what, where, the value found, what was expected, what to do."""
