"""From the settings of a generator to what does the work."""

import importlib
from typing import Any

from dwf_steps.config.generators.base import GeneratorConfig


def implementation_of(config: GeneratorConfig, base: type[Any]) -> Any:
    """Return what the settings describe, a `Generator` or a `NetworkMaker`.

    Imported by name, so that the fingerprint of a step covers only the kinds that it is told of.

    Raises
    ------
    TypeError
        If the implementation is of another base class.
    """
    module, _, name = config.implementation.partition(":")
    found = getattr(importlib.import_module(module), name)(config)
    if not isinstance(found, base):
        raise TypeError(
            f"generators of kind {config.kind!r} make {config.makes}, but {config.implementation} is no "
            f"{base.__name__}"
        )
    return found
