"""Reading a configuration: validated, with every problem told as the user wrote it."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from dwf_steps.config.section import NAME_PATTERN
from dwf_steps.config.sweep import expand
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.pipeline.problems.experiments import problems_of
from dwf_steps.runtime.errors import InputError


def load_config(raw: Mapping[str, Any]) -> WorkflowConfig:
    """Validate a merged configuration and everything that can be known before work starts.

    Raises
    ------
    InputError
        With one line for each problem: the key's full path, what was found, what is allowed.
    """
    expanded, members = expand(raw)
    try:
        config = WorkflowConfig.model_validate(expanded)
    except ValidationError as error:
        raise InputError(_listing([_describe(e, expanded) for e in error.errors()])) from error
    config._members.update(members)
    problems = list(problems_of(config))
    if problems:
        raise InputError(_listing(problems))
    return config


def _describe(error: Any, raw: Any) -> str:
    """Return one line for a pydantic error: the path as the user wrote it, found, expected."""
    path = ".".join(_path(error["loc"], raw, error["type"] == "missing")) or "the configuration"
    if error["loc"] and error["loc"][-1] == "[key]":
        return (
            f"{path}: {error['input']!r} cannot be a name; names become folders and wildcards and must "
            f"match {NAME_PATTERN}"
        )
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in {"value_error", "missing"}:
        return f"{path}: {'this key is required' if error['type'] == 'missing' else message}"
    if error["type"] == "union_tag_not_found":
        return f"{path}: {message}"
    expected = message.replace("Input should be", "expected").replace("Input tag", "found")
    return f"{path}: found {error['input']!r}; {expected}"


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


def _listing(problems: list[str]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"the configuration has {count}:", *(f"  - {problem}" for problem in problems)])
