"""Networks as safetensors files, one each: keys as in ``state_dict()``, the architecture in the metadata.

A state dict has parameters and buffers: running statistics (float32) and counters (integers). The metadata
list the names of the buffers, if there are any.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.stacked import NetworkState, StackedNetworks

Item = TypeVar("Item")

ARCHITECTURE, BUFFERS = "architecture", "buffers"
BUFFER_DTYPES = {"float32": "F32", "int64": "I64"}  # safetensors' names by NumPy's
NETWORKS_BYTES = 2**29  # the parameters of all networks that are processed at a time


def network_groups(networks: Sequence[Item], d: int) -> list[Sequence[Item]]:
    """Divide networks into groups whose parameters fit into `NETWORKS_BYTES`.

    Parameters
    ----------
    networks
        Networks, or their files or row numbers.
    d
        Parameters of each network, stored as float32.

    Returns
    -------
    The groups in order, each of one network at least.
    """
    size = max(1, NETWORKS_BYTES // (4 * d))
    return [networks[start : start + size] for start in range(0, len(networks), size)]


def save_network(
    path: Path,
    state: NetworkState[np.ndarray],
    architecture: Mapping[str, Any],
    buffers: Collection[str] = (),
) -> str:
    """Write one network to a safetensors file.

    The same arguments always give the same bytes, which safetensors' own writer does not promise. Parameters
    are in alphabetical order.

    Parameters
    ----------
    path
        The file.
    state
        The arrays of its ``state_dict()``; parameters are stored as float32.
    architecture
        The configuration that rebuilds the architecture, stored in the metadata.
    buffers
        Names of the arrays that are not parameters.

    Returns
    -------
    The file's SHA-256 in hexadecimal.
    """
    layout = Layout.of({name: state[name].shape for name in sorted(state) if name not in buffers})
    file = NetworkFile(path, layout, architecture, {name: state[name] for name in buffers})
    file.append(*(state[entry.name] for entry in layout.entries))
    return file.digest.hexdigest()


def _metadata(architecture: Mapping[str, Any], buffers: Collection[str]) -> dict[str, str]:
    # transformers requires the entry "format".
    metadata = {"format": "pt", ARCHITECTURE: json.dumps(architecture, sort_keys=True)}
    return metadata | ({BUFFERS: json.dumps(list(buffers))} if buffers else {})


class NetworkFile:
    """A network's file, written front to back as successive pieces of its row of the weight matrix.

    After the buffers, the tensors are in the order of the layout, so that the rest of the file is the row
    itself (https://github.com/huggingface/safetensors, "Format").

    Attributes
    ----------
    digest
        SHA-256 of the bytes written so far.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        architecture: Mapping[str, Any],
        buffers: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> None:
        self.path, self.digest = path, hashlib.sha256()
        header: dict[str, Any] = {"__metadata__": _metadata(architecture, buffers)}
        # Widest type first, so that every tensor starts at a multiple of its item size.
        first = sorted(buffers.items(), key=lambda item: -item[1].itemsize)
        offset = 0
        for name, array in first:
            header[name] = _tensor(BUFFER_DTYPES[array.dtype.name], array.shape, offset, array.nbytes)
            offset += array.nbytes
        for entry in layout.entries:
            header[entry.name] = _tensor("F32", entry.shape, offset + 4 * entry.offset, 4 * entry.size)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        start = [len(text).to_bytes(8, "little"), text, *(array.tobytes() for _, array in first)]
        self._write("wb", start)

    def append(self, *weights: np.ndarray) -> None:
        """Write the next weights of the row as float32."""
        self._write(
            "ab", [np.ascontiguousarray(part, np.float32).reshape(-1).data.cast("B") for part in weights]
        )

    def _write(self, mode: str, contents: Sequence[bytes | memoryview]) -> None:
        # Reopened for each write: a shard may have more networks than a process may have open files.
        with open(self.path, mode) as file:
            for content in contents:
                file.write(content)
                self.digest.update(content)


def _tensor(dtype: str, shape: Sequence[int], start: int, size: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, start + size]}


def load_state(path: Path) -> NetworkState[np.ndarray]:
    """Read one network's arrays.

    Parameters
    ----------
    path
        A safetensors file.

    Returns
    -------
    The arrays by name, parameters and buffers.

    Raises
    ------
    InputError
        If the file is missing, truncated or not a safetensors file.
    """
    try:
        return load_file(path)
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(path, error) from error


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a network's file.

    Parameters
    ----------
    path
        A safetensors file.

    Returns
    -------
    The entries of its metadata; empty if it has none.

    Raises
    ------
    InputError
        If the file is missing, truncated or not a safetensors file.
    """
    try:
        with safe_open(path, framework="np") as file:
            return file.metadata() or {}
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(path, error) from error


def stack_states(paths: Sequence[Path]) -> StackedNetworks[np.ndarray]:
    """Read and stack networks of one architecture.

    Parameters
    ----------
    paths
        The files of n networks, at least one.

    Returns
    -------
    Parameters and buffers, each (n, *shape).

    Raises
    ------
    InputError
        If a file is missing, truncated or not a safetensors file.
    """
    return StackedNetworks.stack([load_state(path) for path in paths], np.stack)


@dataclass(frozen=True)
class Description:
    """The ``layout`` of a network's parameters, its ``architecture`` and the names of its ``buffers``."""

    layout: Layout
    architecture: dict[str, Any]
    buffers: tuple[str, ...]


def describe(path: Path) -> Description:
    """Read a network's layout and architecture without its weights.

    Parameters
    ----------
    path
        A safetensors file that this workflow wrote.

    Returns
    -------
    The parameters' layout, the architecture's configuration and the names of buffers; the configuration is
    empty if the file has none.

    Raises
    ------
    InputError
        If the file is unreadable.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(path, error) from error
    buffers = json.loads(metadata.get(BUFFERS, "[]"))
    layout = Layout.of({name: shape for name, shape in shapes.items() if name not in buffers})
    return Description(layout, json.loads(metadata.get(ARCHITECTURE, "{}")), tuple(buffers))


def stack_arrays(paths: Sequence[Path], names: Sequence[str]) -> StackedNetworks[np.ndarray]:
    """Read some arrays of each network's file and stack them.

    Parameters
    ----------
    paths
        The files of n networks.
    names
        The arrays to read.

    Returns
    -------
    The arrays by name, each (n, *shape).

    Raises
    ------
    InputError
        If a file is unreadable, or lacks one of the arrays.
    """
    arrays: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for path in paths if names else []:
        try:
            with safe_open(path, framework="np") as file:
                for name, found in arrays.items():
                    found.append(file.get_tensor(name))
        except (SafetensorError, FileNotFoundError) as error:
            raise unreadable(path, error) from error
    return StackedNetworks({name: np.stack(found) for name, found in arrays.items()})


def read_columns(path: Path, layout: Layout, columns: slice) -> np.ndarray:
    """Read a range of one network's row, and no more of its file than needed.

    Parameters
    ----------
    path
        The network's safetensors file.
    layout
        The positions of its parameters in the row.
    columns
        The range of the row's d weights, with a start and a stop.

    Returns
    -------
    The weights, (stop - start,) float32.

    Raises
    ------
    InputError
        If the file is unreadable, or its shapes are not the layout's.
    """
    parts = []
    try:
        with safe_open(path, framework="np") as file:
            for entry in layout.entries:
                start, stop = max(columns.start, entry.offset), min(columns.stop, entry.offset + entry.size)
                if start >= stop:
                    continue
                stored = file.get_slice(entry.name)
                if tuple(stored.get_shape()) != entry.shape:
                    raise InputError(
                        f"{path}: {entry.name} has shape {tuple(stored.get_shape())}, expected {entry.shape}"
                    )
                # Read whole slices along the first axis, then cut out the requested part.
                row = entry.size // entry.shape[0]
                first, last = (start - entry.offset) // row, -(-(stop - entry.offset) // row)
                flat = stored[first:last].ravel()
                skipped = entry.offset + first * row
                parts.append(flat[start - skipped : stop - skipped])
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(path, error) from error
    return np.concatenate(parts)


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for a network file that cannot be read.

    Parameters
    ----------
    path
        The file.
    error
        The exception that reading it raised.

    Returns
    -------
    The error; its message says whether the file is missing or damaged.
    """
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file")
    return InputError(
        f"{path}: not a readable network file ({path.stat().st_size:,} bytes; {error}). It may be "
        "truncated: copy or write it again, or remove it"
    )
