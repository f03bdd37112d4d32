"""Text files that are read again: UTF-8, each with a digest beside it.

The digest of ``metrics.csv`` is ``.metrics.csv.sha256``, as `sha256sum --check` reads it. It is a file of its
own so that every program can read the csv.
"""

import hashlib
from pathlib import Path

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.remedy import rebuild


def digest_file(path: Path) -> Path:
    """Return where the digest of a text file lies."""
    return path.with_name(f".{path.name}.sha256")


def write_text(path: Path, text: str) -> None:
    """Write a text file and its digest, each atomically, the digest first: it is there once the file is."""
    content = text.encode("utf-8")
    with replacing(digest_file(path)) as partial:
        partial.write_text(f"{_digest(content)}  {path.name}\n", encoding="utf-8")
    with replacing(path) as partial:
        partial.write_bytes(content)


def read_text(path: Path) -> str:
    """Read what `write_text` wrote.

    Raises
    ------
    InputError
        If a byte of it has changed, or its digest is missing.
    """
    content, beside = path.read_bytes(), digest_file(path)
    if not beside.is_file():
        raise InputError(
            f"{path}: the digest that belongs to it, {beside}, is missing; copy both, or {rebuild(path)}"
        )
    written, found = beside.read_bytes().partition(b"  ")[0], _digest(content)
    if written != found.encode():
        raise InputError(
            f"{path}: SHA-256 is {found[:16]}, but {beside} says {written[:16].decode(errors='replace')}. "
            f"The file changed after it was written; {rebuild(path)}"
        )
    return content.decode("utf-8")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
