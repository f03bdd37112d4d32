"""A guard that lets users' code write only into its own folder, among the files of the working directory."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# By audit event: how many of its first arguments are modified paths, and the position of the descriptor of
# the directory that they are relative to (https://docs.python.org/3/library/audit_events.html).
CHANGES = {
    "os.remove": (1, 1),
    "os.rmdir": (1, 1),
    "os.mkdir": (1, 2),
    "os.rename": (2, 2),
    "os.truncate": (1, None),
    "shutil.rmtree": (1, 1),
}

_folders: list[tuple[str, str]] = []  # of the active blocks: the working directory, and the folder
_hooked: list[bool] = []


@contextmanager
def writing_below(folder: Path) -> Iterator[None]:
    """Restrict the Python code of a block to one folder when it writes within the working directory.

    Writing, renaming or removing any other file there raises `PermissionError`. Files outside the working
    directory, such as temporary files and libraries' caches, are not checked. This prevents mistakes, not
    malice.

    Parameters
    ----------
    folder
        The folder that the code may write to.

    Yields
    ------
    Nothing.
    """
    if not _hooked:
        sys.addaudithook(_look)
        _hooked.append(True)
    _folders.append((os.path.realpath(os.getcwd()), os.path.realpath(folder)))
    try:
        yield
    finally:
        _folders.pop()


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if not _folders:
        return
    if event == "open":
        path, mode, flags = arguments
        writes = set(mode) & set("wax+") if isinstance(mode, str) else flags & WRITING
        if writes and not isinstance(path, int):
            _require_own(path)
    elif event in CHANGES:
        paths, descriptor = CHANGES[event]
        if descriptor is not None and len(arguments) > descriptor and arguments[descriptor] not in (-1, None):
            return  # relative to a directory that was opened before
        for path in arguments[:paths]:
            if not isinstance(path, int):
                _require_own(path)


def _require_own(path: Any) -> None:
    working, folder = _folders[-1]
    absolute = os.path.abspath(os.fsdecode(path))
    real = os.path.realpath(absolute)
    if _below(real, folder) or not (_below(real, working) or _below(absolute, working)):
        return
    if "__pycache__" not in Path(real).parts:
        raise PermissionError(
            f"writes {os.path.relpath(absolute, working)}, which is not in its folder; write below "
            f"tools.folder, here {os.path.relpath(folder, working)}"
        )


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}{os.sep}")
