"""Arrays as npz files, and frozen dataclasses of arrays and numbers."""

from collections.abc import Mapping, Sequence
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

# What zipfile and NumPy raise when a byte of an npz file is wrong or its end is missing.
DAMAGE = (BadZipFile, ZlibError, ValueError, KeyError, EOFError, OSError, RuntimeError)


def save_record(path: Path, record: Any) -> None:
    """Write every field of a dataclass to an npz file, atomically.

    Parameters
    ----------
    path
        The npz file; its folder is created if needed.
    record
        A dataclass whose fields are arrays, numbers or strings.
    """
    save_arrays(path, {field.name: getattr(record, field.name) for field in fields(record)})


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays to an npz file, atomically.

    Parameters
    ----------
    path
        The npz file; its folder is created if needed.
    arrays
        Arrays or scalars by name.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def load_record(path: Path, kind: type[Kind], output: Path | None = None) -> Kind:
    """Read a dataclass that `save_record` wrote.

    Parameters
    ----------
    path
        The npz file.
    kind
        The dataclass; its field names are the names of the arrays.
    output
        The directory that contains the file, if a rule declares the directory as its output; the error
        message then says to delete the directory.

    Returns
    -------
    An instance of ``kind``; arrays without dimensions become plain Python values.

    Raises
    ------
    InputError
        If the file is damaged, or holds another kind of record.
    """
    arrays = load_arrays(path, [field.name for field in fields(kind)], output)  # type: ignore[arg-type]
    return kind(**{name: array if array.ndim else array.item() for name, array in arrays.items()})


def padded(values: np.ndarray, length: int) -> np.ndarray:
    """Pad a vector with NaN.

    Parameters
    ----------
    values
        At most ``length`` numbers, (k,).
    length
        Of the result.

    Returns
    -------
    The values, followed by NaN, (length,).
    """
    return np.append(values, np.full(length - len(values), np.nan))


def load_arrays(
    path: Path, names: list[str], output: Path | None = None, optional: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Read arrays from an npz file and verify their checksums.

    Parameters
    ----------
    path
        The npz file.
    names
        The arrays to read.
    output
        The directory that contains the file, if a rule declares the directory as its output; the error
        message then says to delete the directory.
    optional
        Arrays that are read if the file has them.

    Returns
    -------
    The arrays by name.

    Raises
    ------
    InputError
        If the file is damaged, or an array is missing.
    """
    try:
        with path.open("rb") as file, np.load(file) as stored:
            return {name: stored[name] for name in (*names, *(one for one in optional if one in stored))}
    except DAMAGE as error:
        raise InputError(
            f"{path}: not the arrays that were written ({error}); {rebuild(output or path)}"
        ) from error


def evenly(wanted: int, among: int) -> np.ndarray:
    """Choose evenly spaced indices.

    Parameters
    ----------
    wanted
        How many indices to choose.
    among
        How many items there are.

    Returns
    -------
    Ascending indices below ``among``, (min(wanted, among),).
    """
    count = min(wanted, among)
    return np.arange(count) * among // max(count, 1)
