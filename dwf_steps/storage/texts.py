"""Text files with a digest, to be read again: UTF-8, verified by SHA-256.

The digest of ``metrics.csv`` is in ``.metrics.csv.sha256``, in the format of `sha256sum --check`. A separate
file keeps the csv readable for every program.
"""

import hashlib
from pathlib import Path

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.remedy import rebuild


def digest_file(path: Path) -> Path:
    """Return the path of a text file's digest.

    Parameters
    ----------
    path
        The text file.

    Returns
    -------
    A hidden file in the same folder.
    """
    return path.with_name(f".{path.name}.sha256")


def write_text(path: Path, text: str) -> None:
    """Write a text file and its digest, each atomically.

    The digest is written first, so that a text file never lacks one.

    Parameters
    ----------
    path
        The text file.
    text
        Its content.
    """
    content = text.encode("utf-8")
    with replacing(digest_file(path)) as partial:
        partial.write_text(f"{_digest(content)}  {path.name}\n", encoding="utf-8")
    with replacing(path) as partial:
        partial.write_bytes(content)


def read_text(path: Path) -> str:
    """Read a text file that `write_text` wrote.

    Parameters
    ----------
    path
        The text file.

    Returns
    -------
    Its content.

    Raises
    ------
    InputError
        If the file has changed, or its digest is missing.
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
