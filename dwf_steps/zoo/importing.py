"""Reading networks that others trained."""

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
        What `ForeignNetworks.read` takes; nothing but tensors is ever unpickled.
    expected
        A network of the architecture: its keys, shapes and types.
    files
        How networks lie in their files; a mapping alone is its `keys`.
    tied
        Further names of parameters, each with the one that counts; files may have either, or both.
    wanted
        Which of the files' networks, counted over all files, are meant.
    generated
        Whether a generator made them: that networks are equal, or not finite, is then a result, to be
        counted, and no reason to refuse them.

    Returns
    -------
    Arrays (n, *shape) by the architecture's keys, in the order of the files.

    Raises
    ------
    InputError
        Naming every file that cannot be read, has missing or extra keys, wrong shapes or types, weights that
        are not finite or beyond all use, or equals another one.
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
        what = "the networks cannot be read" if generated else "the zoo cannot be imported as it is"
        raise InputError.of(f"{what}; nothing was written", problems)
    return StackedNetworks.stack([state for _, state in states], np.stack)


def read_networks(
    networks: Sequence[ImportedNetwork],
    architecture: Architecture,
    files: NetworkFiles,
    generated: bool = False,
) -> StackedNetworks[np.ndarray]:
    """Read networks that follow one another in the order of their files.

    Parameters
    ----------
    networks
        Where they lie, at least one.
    architecture
        Of all of them.
    files
        How networks lie in their files.
    generated
        As for `import_networks`.

    Returns
    -------
    Arrays (n, *shape) by the architecture's keys, in the order of ``networks``.

    Raises
    ------
    InputError
        As `import_networks` does.
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
    """Make a network that says what a file has to hold.

    Parameters
    ----------
    architecture
        Of the network.

    Returns
    -------
    A network's arrays by key; only keys, shapes and types are meant.
    """
    state = architecture.initial_state("default", torch_generator("keys and shapes"))
    return {name: value.numpy() for name, value in state.items()}


def told_by_path(network: ImportedNetwork) -> dict[str, Any]:
    """Read off the paths of a network what they tell of it.

    Parameters
    ----------
    network
        Where it lies, and what its path's parts stand for.

    Returns
    -------
    ``file``, and where the paths have them ``trajectory``, ``seed``, ``step`` and ``epochs``.
    """
    texts, facts = network.texts, {"file": network.where}
    return (
        facts
        | ({TRAJECTORY: network.trajectory} if texts else {})
        | {name: int(texts[name]) for name in ("seed", "step") if name in texts}
        | ({"epochs": float(texts["epoch"])} if "epoch" in texts else {})
    )


def usable(networks: StackedNetworks[np.ndarray]) -> np.ndarray:
    """Tell networks that can be computed with from others.

    Parameters
    ----------
    networks
        Arrays (n, *shape) by key.

    Returns
    -------
    Whether all weights of each network are finite and not beyond all use, (n,) bool.
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
