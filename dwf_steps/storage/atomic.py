"""Outputs appear whole or not at all."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PARTIAL = ".partial-"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a fresh path beside ``path``; move it into place on success, remove it on failure.

    The fresh path may become a file or a directory. What a killed process left behind for the same
    ``path`` is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f"{path.name}{PARTIAL}*"):
        _remove(leftover)
    partial = path.with_name(f"{path.name}{PARTIAL}{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield partial
        if not partial.exists():
            raise FileNotFoundError(f"nothing was written for {path}")
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(partial, path)
    finally:
        _remove(partial)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
