"""A shard of networks: a directory of safetensors files, and a manifest with their digests."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.atomic import replacing, write_json
from dwf_steps.storage.networks import save_network
from dwf_steps.storage.remedy import rebuild
from dwf_steps.storage.stacked import NetworkState, StackedNetworks

TRAJECTORY = "trajectory"  # the fact that names the training run of a checkpoint


def trajectory_of(name: str, facts: Mapping[str, Any]) -> str:
    """Return the training run that a network is a checkpoint of.

    Parameters
    ----------
    name
        The network's name.
    facts
        Its facts, as in `Record`.

    Returns
    -------
    The run's name; for a network that is not a checkpoint, ``name``.
    """
    return str(facts.get(TRAJECTORY, name))


@dataclass(frozen=True)
class Record:
    """One network of a shard.

    Attributes
    ----------
    name
        Of the network; its file is ``{name}.safetensors``.
    sha256
        SHA-256 of the file in hexadecimal.
    facts
        Scores and other facts about the network by name, as JSON holds them.
    """

    name: str
    sha256: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def trajectory(self) -> str:
        """The training run that the network is a checkpoint of; its own name if it is not a checkpoint."""
        return trajectory_of(self.name, self.facts)

    @property
    def inherited(self) -> dict[str, Any]:
        """The facts that also hold for networks derived from this one."""
        return {TRAJECTORY: self.facts[TRAJECTORY]} if TRAJECTORY in self.facts else {}


@dataclass(frozen=True)
class Manifest:
    """The networks of a shard, in row order. The file lies beside the directory that it describes.

    Attributes
    ----------
    path
        The JSON file, ``shard-{k}.json``.
    networks
        A record for each network that has a file.
    failed
        Names of networks that have no file because their weights are not finite.
    facts
        Facts about the shard as a whole.
    """

    path: Path
    networks: tuple[Record, ...]
    failed: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read a manifest that `write` wrote.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            networks = tuple(Record(**record) for record in content["networks"])
            return cls(path, networks, tuple(content["failed"]), content["facts"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: not a manifest that this workflow wrote ({error}); {rebuild(path)}"
            ) from error

    def write(self) -> None:
        """Write the manifest as JSON, atomically."""
        content = {"networks": list(map(asdict, self.networks)), "failed": self.failed, "facts": self.facts}
        write_json(self.path, content)

    def file(self, record: Record) -> Path:
        """Return the path of a network's file."""
        return self.path.with_suffix("") / f"{record.name}.safetensors"

    def verified_file(self, record: Record) -> Path:
        """Return the path of a network's file, after verifying its digest.

        Raises
        ------
        InputError
            If the file is missing or its bytes are not those that were written.
        """
        path = self.file(record)
        found = sha256(path) if path.is_file() else "no file"
        if found != record.sha256:
            shared = path.resolve().parent if path.is_symlink() or path.parent.is_symlink() else None
            raise InputError(
                f"{path}: SHA-256 is {found[:16]}, but {self.path} says {record.sha256[:16]}. The "
                f"file changed after it was written; {rebuild(self.path, cached=shared)}"
            )
        return path

    def verified_files(self) -> list[Path]:
        """Return the paths of all networks' files, each verified as in `verified_file`."""
        return [self.verified_file(record) for record in self.networks]


@dataclass(frozen=True)
class Network:
    """A network to be written.

    Attributes
    ----------
    name
        Its name.
    state
        Its arrays, as in ``state_dict()``.
    facts
        As in `Record`.
    architecture
        Its architecture's configuration; the shard's if None.
    """

    name: str
    state: NetworkState[np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)
    architecture: Mapping[str, Any] | None = None


def write_shard(
    directory: Path,
    manifest: Path,
    networks: Iterable[Network],
    architecture: Mapping[str, Any],
    failed: Iterable[str] = (),
    facts: Mapping[str, Any] | None = None,
    buffers: Collection[str] = (),
) -> None:
    """Write network files and then their manifest, each atomically, with one network in memory at a time.

    Parameters
    ----------
    directory
        Receives a file ``{name}.safetensors`` for each network.
    manifest
        The manifest's path, the directory's with the suffix ``.json``.
    networks
        The networks, in row order.
    architecture
        The architecture's configuration, stored in each file's metadata.
    failed
        Names of networks that have no file; read after all others are written.
    facts
        Facts about the shard as a whole; read after all networks are written.
    buffers
        Names of the networks' arrays that are not parameters.

    Raises
    ------
    InputError
        If the disk is full.
    """
    records = []
    with replacing(directory) as partial:
        partial.mkdir()
        for network in networks:
            path = partial / f"{network.name}.safetensors"
            own = architecture if network.architecture is None else network.architecture
            digest = save_network(path, network.state, own, buffers)
            records.append(Record(network.name, digest, network.facts))
    Manifest(manifest, tuple(records), tuple(failed), dict(facts or {})).write()


def finite(networks: Iterable[Network], failed: list[str]) -> Iterator[Network]:
    """Filter networks whose weights are all finite.

    Parameters
    ----------
    networks
        The networks, with their buffers.
    failed
        The names of all other networks are appended to this list.

    Yields
    ------
    The networks whose parameters and buffers are finite.
    """
    for network in networks:
        if all(np.isfinite(array).all() for array in network.state.values()):
            yield network
        else:
            failed.append(network.name)


def unstack(
    names: Sequence[str],
    networks: StackedNetworks[np.ndarray],
    facts: Sequence[dict[str, Any]] | None = None,
) -> Iterator[Network]:
    """Split stacked networks into single, named ones.

    Parameters
    ----------
    names
        The networks' names, (n,).
    networks
        n networks, each array (n, *shape).
    facts
        The facts about each network, (n,), as in `Record`; empty if None.

    Yields
    ------
    Each network, its arrays (*shape).
    """
    for i, name in enumerate(names):
        yield Network(
            name,
            networks.network(i),
            facts[i] if facts is not None else {},
        )


def last_trajectories(shards: Iterable[Manifest], count: int) -> set[str]:
    """Return the last training runs of a zoo.

    Parameters
    ----------
    shards
        The zoo's manifests, in order.
    count
        How many runs to return.

    Returns
    -------
    Names of the last ``count`` trajectories; of networks, if these are not checkpoints.
    """
    names = list(dict.fromkeys(record.trajectory for shard in shards for record in shard.networks))
    return set(names[len(names) - count :])


def require_distinct(shards: Iterable[Manifest]) -> None:
    """Require that no network occurs twice.

    Parameters
    ----------
    shards
        Manifests of the networks.

    Raises
    ------
    InputError
        If two networks' files are identical; the message names both.
    """
    seen: dict[str, Record] = {}
    for shard in shards:
        for record in shard.networks:
            first = seen.setdefault(record.sha256, record)
            if first is not record:
                raise InputError(
                    f"{record.facts.get('file', record.name)}: the same network as "
                    f"{first.facts.get('file', first.name)}; remove one of the two"
                )


def sha256(path: Path) -> str:
    """Hash a file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Its SHA-256 in hexadecimal.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
