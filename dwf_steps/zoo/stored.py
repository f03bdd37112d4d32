"""Finding stored networks: in a results folder, an exported folder, or other files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from dwf_steps.config.imported_networks import ImportedNetwork, imported_networks
from dwf_steps.config.packed import TABLE
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest, trajectory_of
from dwf_steps.storage.networks import ARCHITECTURE, read_metadata
from dwf_steps.zoo.exported import exported_table
from dwf_steps.zoo.importing import told_by_path

Place = str | Path | Sequence[str | Path]
"""A folder, a glob pattern, or several of them."""


@dataclass(frozen=True)
class StoredNetwork:
    """A network's name and file, and facts that are stored with it.

    Attributes
    ----------
    name
        The name.
    source
        The file.
    facts
        The facts by name.
    """

    name: str
    source: ImportedNetwork
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def trajectory(self) -> str:
        """The training run that the network is a checkpoint of; its own name if it is not a checkpoint."""
        return trajectory_of(self.name, self.facts)


@dataclass(frozen=True)
class StoredNetworks:
    """Networks, at least one.

    Attributes
    ----------
    networks
        The networks.
    failed
        Number of further generated networks that failed and have no file.
    """

    networks: tuple[StoredNetwork, ...]
    failed: int = 0

    def __len__(self) -> int:
        return len(self.networks)

    def stated_architecture(self) -> dict[str, Any]:
        """Return the configuration of the architecture that the first network's file states.

        Raises
        ------
        InputError
            If it states none.
        """
        file = self.networks[0].source.path
        stated = read_metadata(file).get(ARCHITECTURE) if file.suffix == ".safetensors" else None
        if stated is None:
            raise InputError(
                f"{file}: the file states no architecture, unlike files written by this workflow; state it, "
                "as in {widths: [784, 10, 10]}"
            )
        description: dict[str, Any] = json.loads(stated)
        return description


def find_networks(where: Place, networks_per_file: int | None = None) -> StoredNetworks:
    """Find networks in a folder, or in files that match patterns, named as by a zoo's `import`.

    In a results folder (`results/{zoo}/zoo`, `.../networks`) or an exported one, facts of each network are
    known; files in results folders are checked against their digests.

    Parameters
    ----------
    where
        A folder, a glob pattern, or several of them.
    networks_per_file
        Number of networks in each file, if it is not one.

    Returns
    -------
    The networks.

    Raises
    ------
    InputError
        If there are none, if names repeat, or if a file was altered.
    """
    places = [where] if isinstance(where, str | Path) else list(where)
    found: list[StoredNetwork] = []
    failed = 0
    for place in map(Path, places):
        manifests = sorted(place.glob("shard-*.json"), key=_shard_number)
        for manifest in map(Manifest.read, manifests):
            found += [
                StoredNetwork(
                    record.name, _own_file(record.name, manifest.verified_file(record)), record.facts
                )
                for record in manifest.networks
            ]
            failed += len(manifest.failed)
        if not manifests:
            facts = exported_table(place / TABLE)
            networks = imported_networks(str(place), networks_per_file)
            found += [
                StoredNetwork(one.name, one, told_by_path(one) | facts.get(one.name, {})) for one in networks
            ]
    if not found:
        raise InputError(
            f"{', '.join(map(str, places))}: no networks there (relative to {Path.cwd()}); expected a folder "
            "or pattern of .safetensors or .pt state dicts, a folder of results, or what `dwf export` wrote"
        )
    names = pd.Series([network.name for network in found])
    if (repeated := names[names.duplicated()].unique()).size:
        raise InputError(
            f"{', '.join(map(str, places))}: several networks are called {repeated[0]}; rename their files"
        )
    return StoredNetworks(tuple(found), failed)


def _own_file(name: str, path: Path) -> ImportedNetwork:
    return ImportedNetwork(name, path, None, {})


def _shard_number(manifest: Path) -> int:
    digits = manifest.stem.removeprefix("shard-")
    return int(digits) if digits.isdigit() else 0
