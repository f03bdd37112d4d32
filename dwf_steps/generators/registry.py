"""Import of a generator's implementation."""

import importlib
from typing import Any

from dwf_steps.config.generators.base import GeneratorConfig


def implementation_of(config: GeneratorConfig, base: type[Any]) -> Any:
    """Build the generator that settings describe.

    It is imported by name, so that the fingerprint of a step covers only the kinds that it uses.

    Parameters
    ----------
    config
        The settings, with the name of the implementation.
    base
        The expected base class, `Generator` or `NetworkMaker`.

    Returns
    -------
    The generator.

    Raises
    ------
    TypeError
        If the implementation does not extend ``base``.
    """
    module, _, name = config.implementation.partition(":")
    found = getattr(importlib.import_module(module), name)(config)
    if not isinstance(found, base):
        raise TypeError(
            f"generators of kind {config.kind!r} make {config.makes}, but {config.implementation} is no "
            f"{base.__name__}"
        )
    return found
