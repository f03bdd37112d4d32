"""Fast reading of whole chunks of an uncompressed zarr array, directly from its files.

zarr copies a chunk several times after reading it, which takes half of the time of a pass that does little
arithmetic per weight. The layout is that of zarr v3: a shard consists of its chunks, followed by an index
with the offset and the size in bytes of each; a chunk consists of its values and their CRC-32C.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

if TYPE_CHECKING:
    import zarr

CRC_BYTES = 4
NEVER_WRITTEN = 2**64 - 1  # the offset that the index has for a chunk that is not in the file


class DamagedChunkError(ValueError):
    """The bytes of a chunk are not those that were written."""


class ChunkReader:
    """Reads the column chunks (n, width) of a weight matrix. Thread-safe."""

    def __init__(self, array: zarr.Array, path: Path) -> None:
        self.array, self.path = array, path
        self._indices: dict[Path, np.ndarray] = {}

    def read(self, chunk: int) -> np.ndarray:
        """Return the ``chunk``-th block of columns, (n, width); the last block may be narrower.

        Raises
        ------
        DamagedChunkError
            If the checksum does not match, or the file is too short.
        """
        n, width = self.array.chunks
        shard, inner = divmod(chunk, self._chunks_per_shard)
        path = self.path / self.array.metadata.encode_chunk_key((0, shard))
        offset = self._offset(path, inner) if path.exists() else NEVER_WRITTEN
        if offset == NEVER_WRITTEN:
            return np.full((n, self._width(chunk)), self.array.fill_value, self.array.dtype)
        size = n * width * self.array.dtype.itemsize + CRC_BYTES
        values = _checked(_read(path, offset, size), path).view(self.array.dtype)
        return values.reshape(n, width)[:, : self._width(chunk)]

    @cached_property
    def _chunks_per_shard(self) -> int:
        return self.array.shards[1] // self.array.chunks[1] if self.array.shards else 1

    def _width(self, chunk: int) -> int:
        width = self.array.chunks[1]
        return min(width, self.array.shape[1] - chunk * width)

    def _offset(self, path: Path, inner: int) -> int:
        """Return the offset in bytes of the ``inner``-th chunk within its file."""
        return int(self._index(path)[inner, 0]) if self.array.shards else 0

    def _index(self, path: Path) -> np.ndarray:
        """Return the shard's index, (chunks, 2): offset and size of each chunk in bytes."""
        if path not in self._indices:
            size = 16 * self._chunks_per_shard + CRC_BYTES
            stored = _read(path, path.stat().st_size - size, size)
            self._indices[path] = _checked(stored, path).view("<u8").reshape(-1, 2)
        return self._indices[path]


def _read(path: Path, offset: int, size: int) -> np.ndarray:
    content = np.empty(size, np.uint8)
    with path.open("rb", buffering=0) as file:
        file.seek(max(offset, 0))
        done = 0
        while done < size and (count := file.readinto(content.data[done:])):
            done += count
    if offset < 0 or done < size:
        raise DamagedChunkError(f"{path} ends {size - done if offset >= 0 else -offset} bytes too early")
    return content


def _checked(content: np.ndarray, path: Path) -> np.ndarray:
    """Return ``content`` without its checksum, which is verified."""
    values: Any = content[:-CRC_BYTES]
    if google_crc32c.value(values) != int(content[-CRC_BYTES:].view("<u4")[0]):
        raise DamagedChunkError(f"the checksum of a chunk of {path} does not match")
    return values
