"""Reading and writing packed shards of networks."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from dwf_steps.config.packed import NETWORKS, SEPARATOR
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.networks import ARCHITECTURE, BUFFERS
from dwf_steps.storage.stacked import Array, NetworkState


def write_packed(
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


def unpacked(arrays: Mapping[str, Array], names: Sequence[str]) -> list[NetworkState[Array]]:
    """Return the networks of a packed shard that was read, in the order of their ``names``."""
    states: dict[str, NetworkState[Array]] = {name: {} for name in names}
    for key, array in arrays.items():
        network, _, parameter = key.rpartition(SEPARATOR)
        states[network][parameter] = array
    return list(states.values())
