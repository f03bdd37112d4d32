"""Reading and writing packed shards of networks."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dwf_steps.config.packed import NETWORKS, SEPARATOR, SUFFIX, shard_of
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.networks import ARCHITECTURE, BUFFERS, unreadable
from dwf_steps.storage.stacked import NetworkState


def write_shard_file(
    path: Path,
    networks: Mapping[str, NetworkState[np.ndarray]],
    architecture: Mapping[str, Any],
    buffers: Collection[str] = (),
) -> None:
    """Write networks by name as one file, with the architecture and the names of what are no parameters in
    its metadata, atomically."""
    arrays = {
        f"{name}{SEPARATOR}{key}": np.ascontiguousarray(array)
        for name, state in networks.items()
        for key, array in state.items()
    }
    metadata = {"format": "pt", ARCHITECTURE: json.dumps(architecture, sort_keys=True)}
    metadata |= {NETWORKS: json.dumps(list(networks))}
    metadata |= {BUFFERS: json.dumps(list(buffers))} if buffers else {}
    with replacing(path) as partial:
        save_file(arrays, partial, metadata=metadata)


def read_packed(path: Path) -> NetworkState[np.ndarray]:
    """Read one network of a packed shard, named by its path.

    Raises
    ------
    InputError
        If the shard cannot be read or has no such network.
    """
    shard, name = shard_of(path), path.name.removesuffix(SUFFIX)
    assert shard is not None, f"{path} lies in no packed shard"
    try:
        with safe_open(shard, framework="np") as file:
            keys = [key for key in file.keys() if key.rpartition(SEPARATOR)[0] == name]  # noqa: SIM118
            state = {key.rpartition(SEPARATOR)[2]: file.get_tensor(key) for key in keys}
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(shard, error) from error
    if not state:
        raise InputError(f"{shard}: has no network {name!r}; copy or export it again")
    return state
