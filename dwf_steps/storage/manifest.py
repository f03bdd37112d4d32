"""A shard of networks: a directory of safetensors files and a manifest with their digests."""

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

TRAJECTORY = "trajectory"  # the fact of checkpoints that says which training they lie on


def trajectory_of(name: str, facts: Mapping[str, Any]) -> str:
    """Return the training that a network is a checkpoint of; its own ``name`` where it is none."""
    return str(facts.get(TRAJECTORY, name))


@dataclass(frozen=True)
class Record:
    """One network of a shard; ``facts`` are scores or whatever else is known of it."""

    name: str
    sha256: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def trajectory(self) -> str:
        """The training that the network is a checkpoint of; its own name where it is none."""
        return trajectory_of(self.name, self.facts)

    @property
    def inherited(self) -> dict[str, Any]:
        """The facts that whatever becomes of the network inherits."""
        return {TRAJECTORY: self.facts[TRAJECTORY]} if TRAJECTORY in self.facts else {}


@dataclass(frozen=True)
class Manifest:
    """What a shard holds, in row order. It lies beside the directory it describes.

    Attributes
    ----------
    failed
        Networks that were not written because their weights are not finite.
    facts
        What is known of the shard as a whole.
    """

    path: Path
    networks: tuple[Record, ...]
    failed: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read what `write` wrote.

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
        """Write as JSON, atomically."""
        content = {"networks": list(map(asdict, self.networks)), "failed": self.failed, "facts": self.facts}
        write_json(self.path, content)

    def file(self, record: Record) -> Path:
        """Return where the record's network lies."""
        return self.path.with_suffix("") / f"{record.name}.safetensors"

    def verified_file(self, record: Record) -> Path:
        """Return where the record's network lies, after comparing it with its digest.

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
        """Return all networks' files after comparing each with its digest, as `verified_file` does."""
        return [self.verified_file(record) for record in self.networks]


@dataclass(frozen=True)
class Network:
    """A network to be written: ``state`` as in ``state_dict()``."""

    name: str
    state: NetworkState[np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)


def write_shard(
    directory: Path,
    manifest: Path,
    networks: Iterable[Network],
    architecture: Mapping[str, Any],
    failed: Iterable[str] = (),
    facts: Mapping[str, Any] | None = None,
    buffers: Collection[str] = (),
) -> None:
    """Write network files and then their manifest, each atomically, one network in memory at a time.

    Parameters
    ----------
    failed
        Names of networks that have no file; read after all others are written.
    buffers
        Which of the networks' arrays are no parameters.
    """
    records = []
    with replacing(directory) as partial:
        partial.mkdir()
        for network in networks:
            path = partial / f"{network.name}.safetensors"
            digest = save_network(path, network.state, architecture, buffers)
            records.append(Record(network.name, digest, network.facts))
    Manifest(manifest, tuple(records), tuple(failed), dict(facts or {})).write()


def finite(networks: Iterable[Network], failed: list[str]) -> Iterator[Network]:
    """Yield the networks whose weights are all finite, and add the names of the others to ``failed``."""
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
    """Yield n networks with their names, and what is known of each."""
    for i, name in enumerate(names):
        yield Network(
            name,
            networks.network(i),
            facts[i] if facts is not None else {},
        )


def last_trajectories(shards: Iterable[Manifest], count: int) -> set[str]:
    """Return the last ``count`` trajectories (networks, where they are no checkpoints) of some shards in
    order."""
    names = list(dict.fromkeys(record.trajectory for shard in shards for record in shard.networks))
    return set(names[len(names) - count :])


def require_distinct(shards: Iterable[Manifest]) -> None:
    """Refuse networks that stand twice.

    Raises
    ------
    InputError
        Naming the files they were read from.
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
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
