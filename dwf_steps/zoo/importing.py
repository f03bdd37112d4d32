"""Importing networks that were trained or generated elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.imported_networks import ImportedNetwork, files_in_order
from dwf_steps.config.network_files import NetworkFiles
from dwf_steps.config.packed import networks_of
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import progress
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.foreign import ForeignNetwork, ForeignNetworks
from dwf_steps.storage.magnitude import excess
from dwf_steps.storage.manifest import TRAJECTORY
from dwf_steps.storage.stacked import NetworkState, StackedNetworks


def import_networks(
    paths: Sequence[Path],
    expected: NetworkState[np.ndarray],
    files: NetworkFiles | Mapping[str, str],
    tied: Mapping[str, str] = MappingProxyType({}),
    wanted: slice = slice(None),
    generated: bool = False,
) -> StackedNetworks[np.ndarray]:
    """Read the networks of files and stack them.

    Parameters
    ----------
    paths
        Files of any format that `ForeignNetworks.read` accepts; only tensors are ever unpickled.
    expected
        A network of the architecture, with the keys, shapes and data types that are expected.
    files
        How the files store networks; a plain mapping renames keys.
    tied
        Names of tied parameters, each with the name that is kept; files may contain either or both.
    wanted
        Which of the networks to return, counted over all files.
    generated
        Whether a generator made the networks. Duplicates and values that are not finite are then results to
        be counted, not errors.

    Returns
    -------
    The networks, in the order of the files.

    Raises
    ------
    InputError
        Listing all files that cannot be read, have missing or extra keys, wrong shapes or types, weights that
        are not finite or too large, or duplicate another one.
    """
    networks: list[ForeignNetwork] = []
    known = files if isinstance(files, NetworkFiles) else NetworkFiles(keys=dict(files))
    reader = ForeignNetworks(known, expected, tied, generated)
    for path in progress(paths, "file"):
        try:
            networks += reader.read(path)
        except InputError as error:
            unread = ForeignNetwork(str(path), None)
            networks += [
                replace(unread, problems=(str(error),)),
                *[unread] * ((len(networks_of(path)) or known.networks_per_file or 1) - 1),
            ]
    networks = networks[wanted]
    problems = [problem for network in networks for problem in network.problems]
    states = [(network.where, network.state) for network in networks if network.state is not None]
    if not (problems or generated):
        problems = _duplicates(states)
    if problems:
        what = "the networks cannot be read" if generated else "the zoo cannot be imported"
        raise InputError.of(f"{what}; nothing was written", problems)
    return StackedNetworks.stack([state for _, state in states], np.stack)


def read_networks(
    networks: Sequence[ImportedNetwork],
    architecture: Architecture,
    files: NetworkFiles,
    generated: bool = False,
) -> StackedNetworks[np.ndarray]:
    """Read consecutive networks of a zoo, with the checks of `import_networks`.

    Parameters
    ----------
    networks
        The networks' names and files, at least one, in row order.
    architecture
        Their architecture.
    files
        How the files store networks.
    generated
        Whether a generator made the networks, as in `import_networks`.

    Returns
    -------
    The networks.
    """
    skipped = networks[0].number or 0
    return import_networks(
        files_in_order(networks),
        expected_state(architecture),
        files,
        architecture.tied,
        slice(skipped, skipped + len(networks)),
        generated,
    )


def expected_state(architecture: Architecture) -> NetworkState[np.ndarray]:
    """Create a network of an architecture, as a template of keys, shapes and data types.

    Parameters
    ----------
    architecture
        The architecture.

    Returns
    -------
    The network, with arbitrary values.
    """
    state = architecture.initial_state("default", torch_generator("keys and shapes"))
    return {name: value.numpy() for name, value in state.items()}


def told_by_path(network: ImportedNetwork) -> dict[str, Any]:
    """Collect the facts of a network that its file's path states.

    Parameters
    ----------
    network
        The network's name and file.

    Returns
    -------
    ``file`` and, if the path has them, the trajectory, ``seed``, ``step`` and ``epochs``.
    """
    texts, facts = network.texts, {"file": network.where}
    return (
        facts
        | ({TRAJECTORY: network.trajectory} if texts else {})
        | {name: int(texts[name]) for name in ("seed", "step") if name in texts}
        | ({"epochs": float(texts["epoch"])} if "epoch" in texts else {})
    )


def usable(networks: StackedNetworks[np.ndarray]) -> np.ndarray:
    """Check which networks have weights that can be computed with.

    Parameters
    ----------
    networks
        The n networks.

    Returns
    -------
    Which of them have only finite weights that are not too large, (n,) bool.
    """
    rows = range(networks.count)
    return np.array([all(map(_usable_values, networks.network(row).values())) for row in rows], bool)


def _usable_values(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all()) and excess(array) is None


def _duplicates(states: Sequence[tuple[str, NetworkState[np.ndarray]]]) -> list[str]:
    seen: dict[bytes, str] = {}
    problems = []
    for where, state in states:
        content = b"".join(array.tobytes() for array in state.values())
        first = seen.setdefault(content, where)
        if first is not where:
            problems.append(f"{where}: the same network as {first}; remove one of the two")
    return problems
