"""Reading networks that others trained."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from dwf_steps.config.network_files import NetworkFiles
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.foreign import ForeignNetwork, ForeignNetworks
from dwf_steps.storage.stacked import NetworkState, StackedNetworks

LISTED = 20  # problems named in one error message


def import_networks(
    paths: Sequence[Path],
    expected: NetworkState[np.ndarray],
    files: NetworkFiles | Mapping[str, str],
    tied: Mapping[str, str] = MappingProxyType({}),
    wanted: slice = slice(None),
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

    Raises
    ------
    InputError
        Naming every file that cannot be read, has missing or extra keys, wrong shapes or types, weights that
        are not finite or beyond all use, or equals another one.
    """
    networks: list[ForeignNetwork] = []
    known = files if isinstance(files, NetworkFiles) else NetworkFiles(keys=dict(files))
    reader = ForeignNetworks(known, expected, tied)
    for path in progress(paths, "file"):
        try:
            networks += reader.read(path)
        except InputError as error:
            unread = ForeignNetwork(str(path), None)
            networks += [
                replace(unread, problems=(str(error),)),
                *[unread] * ((known.networks_per_file or 1) - 1),
            ]
    networks = networks[wanted]
    problems = [problem for network in networks for problem in network.problems]
    states = [(network.where, network.state) for network in networks if network.state is not None]
    if not problems:
        problems = _duplicates(states)
    if problems:
        more = f"\n  ... and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
        listing = "\n".join(f"  - {problem}" for problem in problems[:LISTED])
        raise InputError(f"the zoo cannot be imported as it is; nothing was written:\n{listing}{more}")
    return StackedNetworks.stack([state for _, state in states], np.stack)


def _duplicates(states: Sequence[tuple[str, NetworkState[np.ndarray]]]) -> list[str]:
    seen: dict[bytes, str] = {}
    problems = []
    for where, state in states:
        content = b"".join(array.tobytes() for array in state.values())
        first = seen.setdefault(content, where)
        if first is not where:
            problems.append(f"{where}: the same network as {first}; remove one of the two")
    return problems
