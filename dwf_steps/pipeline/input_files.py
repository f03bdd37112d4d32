"""Files of the user's own as inputs of rules, whatever they are called.

Snakemake reads `{name}` and `<name>` in any path as something to fill in, and knows no way to say otherwise.
A file with such a name is no input of its rule: the rule's params hold its size and time of change instead,
so that a changed file reruns the rule all the same.
"""

from collections.abc import Iterable
from pathlib import Path

READ_BY_SNAKEMAKE = frozenset("{}<>\n")


def input_files(paths: Iterable[Path | None]) -> list[str]:
    """Return the paths that Snakemake takes as they are; those that are None are left out."""
    return [str(path) for path in paths if path is not None and not _is_unusual(path)]


def stamps(paths: Iterable[Path | None]) -> list[str]:
    """Return size and time of change of every other file, for the params of the rule that reads them."""
    return [_stamp(path) for path in paths if path is not None and _is_unusual(path)]


def _is_unusual(path: Path) -> bool:
    text = str(path)
    return text != text.strip() or not READ_BY_SNAKEMAKE.isdisjoint(text)


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except FileNotFoundError:
        return f"{path}: missing"
    return f"{path}: {status.st_size} bytes, {status.st_mtime_ns}"
