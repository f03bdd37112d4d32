"""The user's files as inputs of rules, with arbitrary names.

Snakemake treats `{name}` and `<name>` in any path as a placeholder, without a way to escape it. A file with
such a name is not an input of its rule. Its size and modification time are in the rule's params instead, so
that changing the file still reruns the rule.
"""

from collections.abc import Iterable
from pathlib import Path

READ_BY_SNAKEMAKE = frozenset("{}<>\n")


def input_files(paths: Iterable[Path | None]) -> list[str]:
    """Return the files that Snakemake can take as inputs.

    Parameters
    ----------
    paths
        Files; None is ignored.

    Returns
    -------
    Paths without characters that Snakemake interprets.
    """
    return [str(path) for path in paths if path is not None and not _is_unusual(path)]


def stamps(paths: Iterable[Path | None]) -> list[str]:
    """Return the sizes and modification times of the other files, for the params of the rule that reads them.

    Parameters
    ----------
    paths
        Files; None is ignored.

    Returns
    -------
    One line for each file that cannot be an input.
    """
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
