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
    """Write networks as one safetensors file, atomically.

    Parameters
    ----------
    path
        The shard to be written.
    networks
        By name, each network's arrays by key; they are stored as ``{name}/{key}``.
    architecture
        As a configuration has it; written into the file's metadata.
    buffers
        Keys that are no parameters; written into the metadata too.
    """
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
    """Divide the arrays of a packed shard by network.

    Parameters
    ----------
    arrays
        The shard's arrays by ``{name}/{key}``.
    names
        Of all its networks.

    Returns
    -------
    Each network's arrays by key, in the order of ``names``.
    """
    states: dict[str, NetworkState[Array]] = {name: {} for name in names}
    for key, array in arrays.items():
        network, _, parameter = key.rpartition(SEPARATOR)
        states[network][parameter] = array
    return list(states.values())
