"""One network a safetensors file, keys as in ``state_dict()``, the architecture in its metadata."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from dwf_steps.errors import InputError
from dwf_steps.storage.layout import Layout

if TYPE_CHECKING:
    import torch
    from torch import nn

Item = TypeVar("Item")

ARCHITECTURE = "architecture"
TOGETHER_BYTES = 2**29  # of networks that are computed with at a time


def network_groups(networks: Sequence[Item], d: int) -> list[Sequence[Item]]:
    """Divide networks of ``d`` weights into groups that fit into the memory given to them, one at least."""
    together = max(1, TOGETHER_BYTES // (4 * d))
    return [networks[start : start + together] for start in range(0, len(networks), together)]


def save_network(path: Path, state: Mapping[str, np.ndarray], architecture: Mapping[str, Any]) -> None:
    """Write one network's ``state_dict`` arrays with the architecture that rebuilds it."""
    arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
    save_file(arrays, path, metadata={ARCHITECTURE: json.dumps(architecture, sort_keys=True)})


class NetworkFile:
    """One network's file, written front to back: the weights of its row of the matrix, some at a time.

    The tensors lie in the order of the layout, so that a row is the file's data as it stands
    (https://github.com/huggingface/safetensors, "Format").

    Attributes
    ----------
    digest
        SHA-256 of what was written so far.
    """

    def __init__(self, path: Path, layout: Layout, architecture: Mapping[str, Any]) -> None:
        self.path, self.digest = path, hashlib.sha256()
        header: dict[str, Any] = {"__metadata__": {ARCHITECTURE: json.dumps(architecture, sort_keys=True)}}
        for entry in layout.entries:
            offsets = [4 * entry.columns.start, 4 * entry.columns.stop]
            header[entry.name] = {"dtype": "F32", "shape": entry.shape, "data_offsets": offsets}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        self._write(len(text).to_bytes(8, "little") + text)

    def append(self, weights: np.ndarray) -> None:
        """Write the next weights of the row, float32."""
        self._write(np.ascontiguousarray(weights, np.float32).data.cast("B"))

    def _write(self, content: bytes | memoryview) -> None:
        # Opened anew each time: a shard may be of more networks than a process may have open files.
        with self.path.open("ab") as file:
            file.write(content)
        self.digest.update(content)


def load_state(path: Path) -> dict[str, np.ndarray]:
    """Read one network's arrays.

    Raises
    ------
    InputError
        If the file is missing, truncated or no safetensors file.
    """
    try:
        return load_file(path)
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(path, error) from error


def load_network(path: str | Path) -> "nn.Module":
    """Return the network stored at ``path`` as a ready PyTorch module in evaluation mode.

    Raises
    ------
    InputError
        If the file is unreadable or does not name its architecture.
    """
    import torch
    from pydantic import TypeAdapter

    from dwf_steps.architectures import build
    from dwf_steps.config.architecture import ArchitectureConfig

    path = Path(path)
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(path, error) from error
    if ARCHITECTURE not in metadata:
        raise InputError(
            f"{path}: no '{ARCHITECTURE}' in the file's metadata (found {sorted(metadata)}); "
            "only networks written by this workflow can be rebuilt from the file alone"
        )
    config = TypeAdapter(ArchitectureConfig).validate_json(metadata[ARCHITECTURE])
    module = build(config).module()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in load_state(path).items()})
    return module.eval()


def stack_states(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """Read networks of one architecture and stack each parameter to (n, *shape)."""
    states = [load_state(path) for path in paths]
    return {name: np.stack([state[name] for state in states]) for name in states[0]}


def tensors(networks: Mapping[str, np.ndarray], device: "torch.device") -> dict[str, "torch.Tensor"]:
    """Return stacked parameters as tensors on a device."""
    import torch

    return {name: torch.from_numpy(array).to(device) for name, array in networks.items()}


def describe(path: Path) -> tuple[Layout, dict[str, Any]]:
    """Return the layout and the architecture that a network file states.

    Raises
    ------
    InputError
        If the file is unreadable.
    """
    try:
        with safe_open(path, framework="np") as file:
            architecture = json.loads((file.metadata() or {}).get(ARCHITECTURE, "{}"))
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(path, error) from error
    return Layout.of(shapes), architecture


def read_columns(path: Path, layout: Layout, columns: slice) -> np.ndarray:
    """Return the weights ``columns`` of one network's row, reading no more of the file than needed.

    Raises
    ------
    InputError
        If the file is unreadable or its shapes are not the layout's.
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
                # Whole slices along the first axis, then the part of them that is wanted.
                row = entry.size // entry.shape[0]
                first, last = (start - entry.offset) // row, -(-(stop - entry.offset) // row)
                flat = stored[first:last].ravel()
                skipped = entry.offset + first * row
                parts.append(flat[start - skipped : stop - skipped])
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(path, error) from error
    return np.concatenate(parts)


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for a network file that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file")
    return InputError(
        f"{path}: not a readable network file ({path.stat().st_size:,} bytes; {error}). It may be "
        "truncated: copy or write it again, or remove it"
    )
