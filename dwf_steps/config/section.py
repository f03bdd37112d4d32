"""The base of all sections of the configuration, and what their checks share."""

import difflib
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

NAME_PATTERN = r"^[a-z0-9_]+$"
Function = TypeVar("Function", bound=Callable[..., Any])
CALLABLE_PATTERN = r"^[\w.]+:[\w.]+$"  # package.module:name
LONGEST_NAME = 200  # a file name has at most 255 bytes, which include a prefix and a suffix
PERIODS = 20  # from this many repetitions at the end of a wildcard, Snakemake assumes infinite recursion
PERIODIC = re.compile(rf"(.+)\1{{{PERIODS - 1},}}$")
NAME_RULE = (
    f"names become folders and wildcards and must match {NAME_PATTERN}, have at most {LONGEST_NAME} "
    f"characters and not end with the same text {PERIODS} times in a row"
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
    """Return the message for an unknown key.

    Parameters
    ----------
    key
        As the user wrote it.
    allowed
        The keys that the section has.

    Returns
    -------
    The key, the most similar allowed key, and all allowed keys.
    """
    return f"unknown key {key!r}; {did_you_mean(str(key), allowed)}Allowed: {', '.join(allowed)}"


def did_you_mean(name: str, allowed: list[str]) -> str:
    """Return a question that suggests the most similar name.

    Parameters
    ----------
    name
        As the user wrote it.
    allowed
        Valid names.

    Returns
    -------
    "did you mean 'x'? ", with a space at its end; empty if no name is similar.
    """
    close = difflib.get_close_matches(name, allowed, n=1)
    return f"did you mean {close[0]!r}? " if close else ""


def unknown(name: str, defined: list[str]) -> str:
    """Return the message for a name that is not defined.

    Parameters
    ----------
    name
        As the user wrote it.
    defined
        The defined names.

    Returns
    -------
    The name, the most similar defined name, and all defined names.
    """
    return f"{name!r} is not defined; {did_you_mean(name, defined)}Defined: {', '.join(defined)}"


def expand_methods(value: Any) -> Any:
    """Expand the short forms of a list of methods.

    Parameters
    ----------
    value
        As the user wrote it.

    Returns
    -------
    ``[{method: git_rebasin}]`` for ``[git_rebasin]``, an empty list for ``none``; other values are unchanged.
    """
    if value == "none":
        return []
    if isinstance(value, list):
        return [{"method": item} if isinstance(item, str) else item for item in value if item != "none"]
    return value


def planning(function: Function) -> Function:
    """Mark a function that only plans a run: a check or an estimate, which no step may call.

    A step's fingerprint leaves it out, so that a changed message reruns nothing.

    Parameters
    ----------
    function
        The function to mark.

    Returns
    -------
    The same function.
    """
    return function
