"""Code of one's own that a configuration names."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from dwf_steps.runtime.errors import InputError


def find_callable(target: str, key: str) -> Callable[..., Any]:
    """Return the object ``package.module:name`` that a configuration's key names, looked for where the
    workflow was started too.

    Raises
    ------
    InputError
        If there is none.
    """
    module, _, name = target.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{key}: {target} cannot be imported ({error}); expected package.module:callable, on the Python "
            "path or in the working directory"
        ) from error
    make: Callable[..., Any] = found
    return make
