"""Strict checks of configuration files, for what YAML silently accepts but nobody means."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from dwf_steps.runtime.errors import InputError

MERGED = "tag:yaml.org,2002:merge"
TEXT = "tag:yaml.org,2002:str"
KINDS = {
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "timestamp": "a date",
}


def file_problems(paths: Iterable[Path]) -> Iterator[str]:
    """Yield a line for every part of configuration files that would be read differently than it is written.

    These are keys that are given twice (in YAML the last one wins), keys that are not texts (`2024:`,
    `null:`, `yes:`), and files that are not UTF-8.

    Parameters
    ----------
    paths
        Configuration files; missing ones are skipped.

    Yields
    ------
    The file or key, what was found, and what to change.
    """
    for path in paths:
        if path.is_file():
            yield from _problems(path)


def text_of(path: Path) -> str:
    """Return the content of a configuration file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Its text, without a byte order mark.

    Raises
    ------
    InputError
        If it is not UTF-8.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is {_encoding(content, error)}; save it as UTF-8") from None


def _problems(path: Path) -> Iterator[str]:
    try:
        text = text_of(path)
    except InputError as error:
        yield str(error)
        return
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        if not _is_json(text):
            yield f"{path}: is neither YAML nor JSON ({' '.join(str(error).split())})"
        return
    if node is not None:
        yield from _node_problems(node, path, (), set())


def _encoding(content: bytes, error: UnicodeDecodeError) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "UTF-16"
    line = content[: error.start].count(b"\n") + 1
    return f"not UTF-8 (byte 0x{content[error.start]:02x} in line {line}), perhaps Latin-1"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _node_problems(node: yaml.Node, path: Path, above: tuple[str, ...], seen: set[int]) -> Iterator[str]:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from _node_problems(item, path, (*above, str(i)), seen)
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            section = ".".join(above) or "the configuration"
            yield f"{path}, line {line}: {section} has a key that is not a text"
            continue
        where = ".".join((*above, key.value))
        if key.tag not in (TEXT, MERGED):
            kind = KINDS.get(key.tag.rpartition(":")[2], key.tag)
            yield f'{where}: is read as {kind} ({path}, line {line}), but keys are text; write "{key.value}":'
        elif key.value in lines:
            yield (
                f"{where}: is given twice, in lines {lines[key.value]} and {line} of {path}; leave one of "
                "them out"
            )
        lines.setdefault(key.value, line)
        yield from _node_problems(value, path, (*above, key.value), seen)
