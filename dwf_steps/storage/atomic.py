"""Atomic writing: an output appears complete or not at all."""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dwf_steps.runtime.errors import InputError

PARTIAL = ".partial-"
DISK_FULL = ("No space left on device", "Disk quota exceeded")
READ_WRITE = 0o666  # the bits that a new file has in common with a new folder under any umask


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and move it to ``path`` when the block succeeds.

    The caller may create a file or a directory at the temporary path; it is removed if the block fails. It
    lies in a folder beside ``path`` that stays locked while this process is alive. Folders that killed
    processes left behind for the same ``path`` are removed first; those of living processes are kept.

    Parameters
    ----------
    path
        The output, a file or a directory. An existing one is replaced; parent folders are created.

    Yields
    ------
    The temporary path, which does not exist yet.

    Raises
    ------
    InputError
        If the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f"{path.name}{PARTIAL}*"):
        with _locked(leftover) as abandoned:
            if abandoned:
                shutil.rmtree(leftover, ignore_errors=True)
    folder = path.with_name(f"{path.name}{PARTIAL}{uuid.uuid4().hex[:8]}")
    folder.mkdir()
    try:
        with _locked(folder):
            partial = folder / path.name
            yield partial
            if not partial.exists():
                raise FileNotFoundError(f"nothing was written for {path}")
            if path.is_dir():
                shutil.rmtree(path)
            if partial.is_file():
                # Some libraries create files that only their owner may read.
                partial.chmod(folder.stat().st_mode & READ_WRITE)
            os.replace(partial, path)
    except Exception as error:
        if any(message in str(reason) for reason in _reasons(error) for message in DISK_FULL):
            raise _disk_full(path) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically.

    Parameters
    ----------
    path
        The JSON file.
    value
        Anything that `json.dumps` accepts.
    """
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Yield whether this process could lock the folder; the lock ends with the process, even by SIGKILL."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        except OSError:  # held by another process, or a file system without locks
            locked = False
        yield locked
    finally:
        os.close(descriptor)


def _reasons(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes: PyTorch wraps the error that reports a full disk in one of its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _disk_full(path: Path) -> InputError:
    usage = shutil.disk_usage(path.parent)
    free, total = usage.free / 2**20, usage.total / 2**20
    return InputError(
        f"{path}: the disk is full ({free:,.0f} of {total:,.0f} MiB were free when writing failed). What was "
        "written of this file has been removed; free some space, or move results/ to a larger disk, and run "
        "again"
    )
