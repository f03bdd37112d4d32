"""What every section of the configuration shares."""

import difflib
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

NAME_PATTERN = r"^[a-z0-9_]+$"
Function = TypeVar("Function", bound=Callable[..., Any])
CALLABLE_PATTERN = r"^[\w.]+:[\w.]+$"  # package.module:name
LONGEST_NAME = 200  # of 255 bytes that a file's name may have, which also holds a prefix and an ending
PERIODS = 20  # as often as this Snakemake takes a repetition at a wildcard's end for an endless recursion
PERIODIC = re.compile(rf"(.+)\1{{{PERIODS - 1},}}$")
NAME_RULE = (
    f"names become folders and wildcards and must match {NAME_PATTERN}, have at most {LONGEST_NAME} "
    f"characters and not end with anything {PERIODS} times in a row"
)


def _usable(name: str) -> str:
    if len(name) > LONGEST_NAME or PERIODIC.search(name):
        raise ValueError(NAME_RULE)
    return name


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN), AfterValidator(_usable)]
Seed = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A mapping with known keys; an unknown key is an error that suggests the right one."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        allowed = {f.alias or name for name, f in cls.model_fields.items()} | set(cls.model_fields)
        unknown = [key for key in data if key not in allowed]
        if unknown:
            raise ValueError("; ".join(unknown_key(key, sorted(allowed)) for key in unknown))
        return data


def unknown_key(key: object, allowed: list[str]) -> str:
    """Say that ``key`` is unknown, what is allowed, and which allowed key is closest."""
    return f"unknown key {key!r}; {did_you_mean(str(key), allowed)}Allowed: {', '.join(allowed)}"


def did_you_mean(name: str, allowed: list[str]) -> str:
    """Return a question that names the closest of what is allowed; nothing where none is close."""
    close = difflib.get_close_matches(name, allowed, n=1)
    return f"did you mean {close[0]!r}? " if close else ""


def unknown(name: str, defined: list[str]) -> str:
    """Say that ``name`` is not defined, and what is."""
    return f"{name!r} is not defined; {did_you_mean(name, defined)}Defined: {', '.join(defined)}"


def expand_methods(value: Any) -> Any:
    """Let `[git_rebasin]` stand for `[{method: git_rebasin}]`, and `none` for the empty list."""
    if value == "none":
        return []
    if isinstance(value, list):
        return [{"method": item} if isinstance(item, str) else item for item in value if item != "none"]
    return value


def planning(function: Function) -> Function:
    """Mark what only plans a run, a check or an estimate: no step may call it.

    A step's fingerprint leaves it out, so that a changed message reruns nothing.
    """
    return function
