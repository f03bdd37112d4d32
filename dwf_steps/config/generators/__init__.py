"""Kinds of generators, one per module: flows, other learned generators, and controls.

A module of this package that defines a `GeneratorConfig` with a ``kind`` makes this kind known to the
configuration, the rules, the reports and the reference; nothing else lists it.
"""

import importlib
import pkgutil
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from dwf_steps.config.generators.base import GeneratorConfig


@cache
def generator_kinds() -> dict[str, type[GeneratorConfig]]:
    """Return the settings classes of all kinds of generators.

    Returns
    -------
    Classes by kind: learned generators first, then controls.
    """
    found: dict[str, type[GeneratorConfig]] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        content = importlib.import_module(f"{__name__}.{module}")
        for value in vars(content).values():
            own = isinstance(value, type) and value.__module__ == content.__name__
            if own and issubclass(value, GeneratorConfig):
                for kind in get_args(value.model_fields["kind"].annotation):
                    found[kind] = value
    return dict(sorted(found.items(), key=lambda item: item[1].control))


class _OneOfTheKinds:
    """Lets pydantic read a generator's settings by its ``kind``."""

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {kind: handler.generate_schema(model) for kind, model in generator_kinds().items()}
        return core_schema.tagged_union_schema(choices, discriminator="kind")


AnyGenerator = Annotated[GeneratorConfig, _OneOfTheKinds()]
"""The settings of any kind of generator."""
