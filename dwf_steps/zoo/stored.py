"""Networks that lie somewhere: in a folder of results, in an exported folder, or in files of any name."""

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
    """A network's ``name``, its ``source``, and the ``facts`` that are kept with it."""

    name: str
    source: ImportedNetwork
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def trajectory(self) -> str:
        """The training that the network is a checkpoint of; its own name where it is none."""
        return trajectory_of(self.name, self.facts)


@dataclass(frozen=True)
class StoredNetworks:
    """Networks, at least one, and how many ``failed`` when they were generated and have no file."""

    networks: tuple[StoredNetwork, ...]
    failed: int = 0

    def __len__(self) -> int:
        return len(self.networks)

    def stated_architecture(self) -> dict[str, Any]:
        """Return the description of the architecture that the first network's file names.

        Raises
        ------
        InputError
            If it names none.
        """
        file = self.networks[0].source.path
        stated = read_metadata(file).get(ARCHITECTURE) if file.suffix == ".safetensors" else None
        if stated is None:
            raise InputError(
                f"{file}: names no architecture, as files do that this workflow wrote; state it, as "
                "{widths: [784, 10, 10]}"
            )
        description: dict[str, Any] = json.loads(stated)
        return description


def find_networks(where: Place, networks_per_file: int | None = None) -> StoredNetworks:
    """Return the networks in a folder, or in all files that match patterns, as a zoo's `import` has them.

    Of a folder of results (`results/{zoo}/zoo`, `.../networks`) and of an exported one, facts of each network
    are known; files of results are compared with their digests.

    Parameters
    ----------
    where
        The folder, a pattern, or several of them.
    networks_per_file
        Of files with several networks that are no packed shards.

    Returns
    -------
    The networks in row order, with what is known of each.

    Raises
    ------
    InputError
        If there are none, several have one name, or a file is not the one that was written.
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
