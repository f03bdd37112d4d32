"""Frozen dataclasses of arrays and numbers as npz files."""

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dwf_steps.storage.atomic import replacing

Kind = TypeVar("Kind")


def save_record(path: Path, record: Any) -> None:
    """Write every field of a dataclass, atomically."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **{field.name: getattr(record, field.name) for field in fields(record)})


def load_record(path: Path, kind: type[Kind]) -> Kind:
    """Read what `save_record` wrote; numbers come back as Python's own."""
    with np.load(path) as stored:
        arrays = {field.name: stored[field.name] for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: array if array.ndim else array.item() for name, array in arrays.items()})
