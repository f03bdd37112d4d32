"""Networks encoded as response coordinates: rows that may exceed memory, and their manifest."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.atomic import write_json
from dwf_steps.storage.manifest import sha256
from dwf_steps.storage.remedy import rebuild


@dataclass(frozen=True)
class Encoded:
    """Manifest of some rows of a coordinate matrix; the rows are in an npy file beside it.

    Attributes
    ----------
    sha256
        SHA-256 of the npy file in hexadecimal.
    shares
        By layer, the share of each row's squared responses that the basis keeps.
    """

    sha256: str
    shares: dict[str, list[float]]

    def write(self, manifest: Path) -> None:
        """Write the manifest as JSON, atomically."""
        write_json(manifest, asdict(self))

    @classmethod
    def read(cls, manifest: Path) -> "Encoded":
        """Read a manifest that `write` wrote.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        try:
            return cls(**json.loads(manifest.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{manifest}: not a manifest that this workflow wrote ({error}); {rebuild(manifest)}"
            ) from error

    def rows(self, manifest: Path) -> np.ndarray:
        """Return the rows (k, d) float32 as a memory map, after verifying the digest of their file.

        Raises
        ------
        InputError
            If the file is missing, or its bytes are not those that were written.
        """
        path = manifest.with_suffix(".npy")
        found = sha256(path) if path.is_file() else "no file"
        if found != self.sha256:
            raise InputError(
                f"{path}: SHA-256 is {found[:16]}, but {manifest} says {self.sha256[:16]}. The file changed "
                f"after it was written; {rebuild(manifest)}"
            )
        rows: np.ndarray = np.load(path, mmap_mode="r")
        return rows
