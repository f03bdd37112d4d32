"""Reading a configuration, with problems reported in terms of what the user wrote."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dwf_steps.config.section import CALLABLE_PATTERN, NAME_RULE, did_you_mean
from dwf_steps.config.sweep import expand
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.pipeline.problems.experiments import problems_of
from dwf_steps.pipeline.strict_yaml import file_problems
from dwf_steps.runtime.errors import InputError

# By pydantic's type of an error.
EXPECTED = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "a mapping, `key: value`"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list, `[one, another]`"),
    "path_type": "a path, as text",
    "string_type": "a text",
}
SPELT_OUT = {"resnet": ("resnet18", "resnet20")}  # a tag of a union -> what users write for it


def load_config(raw: Mapping[str, Any], files: Iterable[Path | str] = ()) -> WorkflowConfig:
    """Validate a merged configuration, and check everything that can be known before work starts.

    Parameters
    ----------
    raw
        The configuration, all files merged.
    files
        These files, which are read again for problems that merging hides.

    Returns
    -------
    The validated configuration, with sweeps expanded.

    Raises
    ------
    InputError
        With one line per problem: the key's full path, what was found, and what is allowed.
    """
    if hidden := list(dict.fromkeys(file_problems(map(Path, files)))):
        raise InputError(listing(hidden))
    expanded, members = expand(raw)
    try:
        config = WorkflowConfig.model_validate(expanded)
    except ValidationError as error:
        raise InputError(listing([described(e, expanded) for e in error.errors()])) from error
    config._members.update(members)
    problems = list(dict.fromkeys(problems_of(config)))
    if problems:
        raise InputError(listing(problems))
    return config


def described(error: Any, raw: Any) -> str:
    """Return one line for a pydantic error: the path as the user wrote it, what was found, what was expected.

    Parameters
    ----------
    error
        One of pydantic's.
    raw
        The configuration that was validated.

    Returns
    -------
    A message without the indentation of a list.
    """
    path = ".".join(_path(error["loc"], raw, error["type"] == "missing")) or "the configuration"
    if error["loc"] and error["loc"][-1] == "[key]":
        return f"{path}: {error['input']!r} cannot be a name; {_quoted(error) or NAME_RULE}"
    kind, found = error["type"], error["input"]
    if kind == "value_error":
        return f"{path}: {error['msg'].removeprefix('Value error, ')}"
    if kind == "missing":
        return f"{path}: this key is required"
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        return _describe_tag(error, path)
    expected = _expected(error)
    if quoted := _quoted(error):
        expected += f"; {quoted}"
    return f"{path}: found {found!r}; {expected}"


def _expected(error: Any) -> str:
    """Return what a value should have been, in terms of YAML rather than of pydantic and Python."""
    context = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch" and context["pattern"] == CALLABLE_PATTERN:
        return "expected package.module:name, as in my_networks:SmallCNN"
    if error["type"] == "too_short":
        return f"expected at least {context['min_length']} entries"
    if error["type"] in EXPECTED:
        return f"expected {EXPECTED[error['type']]}"
    message: str = error["msg"]
    return message.replace("Input should be", "expected")


def _describe_tag(error: Any, path: str) -> str:
    """Return one line for a key that decides which other keys a section has, such as `kind`."""
    context = error["ctx"]
    key = context["discriminator"].strip("'_()")
    if error["type"] == "union_tag_not_found":
        return f"{path}.{key}: this key is required"
    allowed = re.findall(r"'(\w+)'", context["expected_tags"])
    allowed = [name for tag in allowed for name in SPELT_OUT.get(tag, (tag,))]
    advice = did_you_mean(str(context["tag"]), allowed)
    return f"{path}.{key}: found {error['input'][key]!r}; {advice}expected {', '.join(map(repr, allowed))}"


def _quoted(error: Any) -> str:
    """Return the advice to quote a number, date, null or boolean given as a text; else nothing."""
    value = error["input"]
    if error["type"] != "string_type" or not isinstance(value, bool | int | float | date | None):
        return ""
    return "put it in quotes if it is meant as text"


def _path(location: tuple[int | str, ...], raw: Any, last_is_missing: bool) -> Iterator[str]:
    """Yield the parts of ``location`` that are keys, leaving out pydantic's union tags."""
    for i, part in enumerate(location):
        is_key = isinstance(raw, Mapping) and part in raw
        is_item = isinstance(raw, list) and isinstance(part, int)
        if is_key or is_item:
            raw = raw[part]
            yield str(part)
        elif last_is_missing and i == len(location) - 1:
            yield str(part)


def listing(problems: list[str]) -> str:
    """Return problems as one message.

    Parameters
    ----------
    problems
        One line each.

    Returns
    -------
    The number of problems, and a list.
    """
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"the configuration has {count}:", *(f"  - {problem}" for problem in problems)])
