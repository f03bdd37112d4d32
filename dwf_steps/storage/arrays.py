"""Frozen dataclasses of arrays and numbers as npz files."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.remedy import rebuild

Kind = TypeVar("Kind")

# What zipfile and NumPy raise when a byte or the end of an npz file is wrong.
DAMAGE = (BadZipFile, ZlibError, ValueError, KeyError, EOFError, OSError, RuntimeError)


def save_record(path: Path, record: Any) -> None:
    """Write every field of a dataclass, atomically."""
    save_arrays(path, {field.name: getattr(record, field.name) for field in fields(record)})


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as npz, atomically."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def load_record(path: Path, kind: type[Kind], output: Path | None = None) -> Kind:
    """Read what `save_record` wrote; numbers come back as Python's own.

    Parameters
    ----------
    output
        The directory that the file is a part of, where a rule writes a directory.

    Raises
    ------
    InputError
        If the file is damaged, or holds another kind of record.
    """
    arrays = load_arrays(path, [field.name for field in fields(kind)], output)  # type: ignore[arg-type]
    return kind(**{name: array if array.ndim else array.item() for name, array in arrays.items()})


def padded(values: np.ndarray, length: int) -> np.ndarray:
    """Return values followed by NaN for those that are missing, (length,)."""
    return np.append(values, np.full(length - len(values), np.nan))


def load_arrays(path: Path, names: list[str], output: Path | None = None) -> dict[str, np.ndarray]:
    """Read arrays of an npz file, each of which has a checksum.

    Parameters
    ----------
    output
        The directory that the file is a part of, where a rule writes a directory.

    Raises
    ------
    InputError
        If the file is damaged, or an array is missing.
    """
    try:
        with path.open("rb") as file, np.load(file) as stored:
            return {name: stored[name] for name in names}
    except DAMAGE as error:
        raise InputError(
            f"{path}: not the arrays that were written ({error}); {rebuild(output or path)}"
        ) from error


def evenly(wanted: int, among: int) -> np.ndarray:
    """Return at most ``wanted`` of the numbers below ``among``, evenly spaced."""
    count = min(wanted, among)
    return np.arange(count) * among // max(count, 1)
