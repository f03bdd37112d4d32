"""The weight matrix: a zarr array (n, d) whose chunks are column blocks of all n rows."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from dwf_steps.errors import InputError
from dwf_steps.storage.layout import Layout

CHUNK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Row:
    """One row's network: its ``name``, the digest of the file it was read from, whether it is held out."""

    name: str
    sha256: str = ""
    held_out: bool = False


class WeightMatrix:
    """An open weight matrix, training rows first, held-out rows after them."""

    def __init__(self, array: zarr.Array) -> None:
        self.array = array
        self.layout = Layout.from_json(array.attrs["layout"])  # type: ignore[arg-type]
        self.rows = [Row(**row) for row in array.attrs["rows"]]  # type: ignore[union-attr, arg-type]
        self.architecture: dict[str, Any] = dict(array.attrs["architecture"])  # type: ignore[arg-type]

    @classmethod
    def create(
        cls,
        path: Path,
        layout: Layout,
        rows: list[Row],
        architecture: dict[str, Any],
        dtype: str = "float32",
    ) -> "WeightMatrix":
        """Create an empty matrix (n, d); chunks are column blocks of at most 16 MiB."""
        held_out = [row.held_out for row in rows]
        if held_out != sorted(held_out):
            raise ValueError("training rows must come before held-out rows")
        n, d = len(rows), layout.size
        columns = min(d, max(1, CHUNK_BYTES // (n * np.dtype(dtype).itemsize)))
        attributes: dict[str, Any] = {
            "layout": layout.to_json(),
            "rows": [asdict(row) for row in rows],
            "architecture": architecture,
        }
        array = zarr.create_array(
            path, shape=(n, d), chunks=(n, columns), dtype=dtype, compressors=None, attributes=attributes
        )
        return cls(array)

    @classmethod
    def open(cls, path: Path) -> "WeightMatrix":
        """Open a matrix for reading."""
        if not path.is_dir():
            raise InputError(f"{path}: no weight matrix there; run the stage that writes it")
        array = zarr.open_array(path, mode="r")
        return cls(array)

    @property
    def n_training(self) -> int:
        return sum(not row.held_out for row in self.rows)

    def column_blocks(self) -> Iterator[slice]:
        """Yield the column range of each chunk, in order."""
        d, step = self.array.shape[1], self.array.chunks[1]
        for start in range(0, d, step):
            yield slice(start, min(start + step, d))

    def read(self, columns: slice = slice(None)) -> np.ndarray:
        """Return all rows of a column range, (n, columns)."""
        return np.asarray(self.array[:, columns])
