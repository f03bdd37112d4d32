"""The weight matrix: a zarr array (n, d), read and written in column blocks of all n rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_arrays, save_arrays
from dwf_steps.storage.chunks import ChunkReader
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.remedy import rebuild
from dwf_steps.storage.stacked import StackedNetworks

if TYPE_CHECKING:
    # Functions that need it import it again: steps that only name a matrix avoid the cost of the import.
    import zarr

BUFFERS_FILE = "buffers.npz"
CHUNK_BYTES = 16 * 2**20  # the unit of reading
SHARDS_PER_BUDGET = 4  # writing a shard takes memory for it, for its encoded chunks and for a copy of one row

Precision = Literal["float16", "float32", "float64"]


@dataclass(frozen=True)
class Row:
    """The network of one row.

    Attributes
    ----------
    name
        Of the network.
    sha256
        Digest of the file that it was read from.
    held_out
        Whether it is excluded from references, bases, representations and generators.
    trajectory
        The training run that it is a checkpoint of; its own name if it is not a checkpoint.
    """

    name: str
    sha256: str = ""
    held_out: bool = False
    trajectory: str = ""


class WeightMatrix:
    """An open weight matrix: rows of training networks first, then those of held-out networks.

    A chunk is a column block of all rows, with a checksum; many chunks share one file (a shard), so that a
    large matrix does not take a hundred thousand files. Blocks that were never written read as NaN. The
    networks' buffers are in a separate npz file within the same folder.
    """

    def __init__(self, array: zarr.Array, path: Path) -> None:
        self.array, self.path = array, path
        self.layout = Layout.from_json(array.attrs["layout"])  # type: ignore[arg-type]
        self.rows = [Row(**row) for row in array.attrs["rows"]]  # type: ignore[union-attr, arg-type]
        self.architecture: dict[str, Any] = dict(array.attrs["architecture"])  # type: ignore[arg-type]
        self._chunks = ChunkReader(array, path)

    @classmethod
    def create(
        cls,
        path: Path,
        layout: Layout,
        rows: list[Row],
        architecture: dict[str, Any],
        dtype: Precision = "float32",
        memory_mb: int = 1024,
        buffers: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> WeightMatrix:
        """Create an empty matrix (n, d) of networks with ``buffers`` (n, *shape).

        Chunks take 16 MiB at most, shards a quarter of ``memory_mb`` at most. `write_blocks` yields whole
        shards, so that writing one stays within the memory budget.
        """
        held_out = [row.held_out for row in rows]
        if held_out != sorted(held_out):
            raise ValueError("training rows must come before held-out rows")
        n, d = len(rows), layout.size
        chunk = min(d, max(1, CHUNK_BYTES // (n * np.dtype(dtype).itemsize)))
        # In memory a block takes at least float32, even if it is stored as float16.
        in_memory = n * chunk * max(4, np.dtype(dtype).itemsize)
        per_shard = max(1, memory_mb * 2**20 // (SHARDS_PER_BUDGET * in_memory))
        shard = chunk * min(per_shard, -(-d // chunk))
        attributes: dict[str, Any] = {
            "layout": layout.to_json(),
            "rows": [asdict(row) for row in rows],
            "architecture": architecture,
            "storage_error": 0.0,
            "buffers": list(buffers),
        }
        import zarr
        from zarr.codecs import Crc32cCodec

        array = zarr.create_array(
            path,
            shape=(n, d),
            chunks=(n, chunk),
            shards=(n, shard) if shard > chunk else None,
            dtype=dtype,
            compressors=[Crc32cCodec()],
            fill_value=np.nan,
            attributes=attributes,
        )
        if buffers:
            save_arrays(path / BUFFERS_FILE, buffers)
        return cls(array, path)

    @classmethod
    def open(cls, path: Path) -> WeightMatrix:
        """Open a matrix for reading.

        Raises
        ------
        InputError
            If there is no matrix at this path.
        """
        if not path.is_dir():
            raise InputError(f"{path}: no weight matrix there; run the stage that writes it")
        import zarr

        array = zarr.open_array(path, mode="r")
        return cls(array, path)

    @property
    def storage_error(self) -> float:
        """The rounding error of the stored training rows.

        It is the root mean square of their differences from the original weights, relative to that of the
        weights' distances from the mean.
        """
        return float(self.array.attrs["storage_error"])  # type: ignore[arg-type]

    def set_storage_error(self, error: float) -> None:
        """Record the storage error, after all blocks are written."""
        self.array.attrs["storage_error"] = error

    @property
    def description(self) -> str:
        """The matrix's identity as JSON: networks with digests, layout, architecture and type."""
        rows = [asdict(row) for row in self.rows]
        return json.dumps([rows, self.layout.to_json(), self.architecture, str(self.array.dtype)])

    @property
    def n_training(self) -> int:
        return sum(not row.held_out for row in self.rows)

    @property
    def trajectories(self) -> np.ndarray:
        """Return the number of the trajectory that each training row belongs to, (n_training,)."""
        names = [row.trajectory or row.name for row in self.rows[: self.n_training]]
        trajectories: np.ndarray = np.unique(names, return_inverse=True)[1]
        return trajectories

    def column_blocks(self, part: int = 0, parts: int = 1) -> Iterator[slice]:
        """Yield the column range of each chunk, in order; only those of one part if jobs share the work."""
        d, step = self.array.shape[1], self.array.chunks[1]
        starts = range(0, d, step)
        first, last = (len(starts) * k // parts for k in (part, part + 1))
        for start in starts[first:last]:
            yield slice(start, min(start + step, d))

    def chunk_groups(self, rows: int, memory: int) -> list[list[slice]]:
        """Return the chunks' column ranges in groups that fit into memory.

        ``rows`` float32 rows over the columns of a group take at most ``memory`` bytes, unless the group is a
        single chunk.
        """
        chunks = list(self.column_blocks())
        chunk_size = max(1, memory // (4 * rows * self.array.chunks[1]))
        return [chunks[start : start + chunk_size] for start in range(0, len(chunks), chunk_size)]

    def write_blocks(self) -> Iterator[slice]:
        """Yield the column range of each shard, in order: the unit of writing."""
        d, step = self.array.shape[1], (self.array.shards or self.array.chunks)[1]
        for start in range(0, d, step):
            yield slice(start, min(start + step, d))

    def read(self, columns: slice = slice(None)) -> np.ndarray:
        """Return all rows of a column range, (n, columns).

        Raises
        ------
        InputError
            If a chunk's bytes are not those that were written.
        """
        try:
            chunk = self._chunk_at(columns)
            return np.asarray(self.array[:, columns]) if chunk is None else self._chunks.read(chunk)
        except (ValueError, OSError) as error:
            raise self.damaged(columns, str(error)) from error

    @cached_property
    def buffers(self) -> StackedNetworks[np.ndarray]:
        """The networks' buffers, each (n, *shape): the arrays of their state dicts that are not parameters.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        names: list[str] = list(self.array.attrs["buffers"])  # type: ignore[arg-type]
        return StackedNetworks(load_arrays(self.path / BUFFERS_FILE, names, self.path) if names else {})

    def networks(self, rows: Sequence[int] | np.ndarray) -> StackedNetworks[np.ndarray]:
        """Return the networks of some rows, parameters (rows, *shape) float32 and buffers, in one pass."""
        return self.layout.unflatten(self.take(rows)).replaced(self.buffers.select(rows))

    def take(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return some rows, (rows, d) float32, in one pass."""
        taken = np.empty((len(rows), self.layout.size), np.float32)
        for columns in self.column_blocks():
            taken[:, columns] = self.read(columns)[rows]
        return taken

    def _chunk_at(self, columns: slice) -> int | None:
        """Return the number of the chunk that the column range covers exactly, or None."""
        d, width = self.array.shape[1], self.array.chunks[1]
        start, stop, _ = columns.indices(d)
        is_chunk = start < d and start % width == 0 and stop == min(start + width, d)
        return start // width if is_chunk else None

    def damaged(self, columns: slice, found: str) -> InputError:
        """Return the error for a column range whose bytes are not those that were written."""
        d = self.array.shape[1]
        return InputError(
            f"{self.path}: columns {columns.start or 0} to {columns.stop or d} are damaged ({found}); "
            f"{rebuild(self.path)}"
        )
