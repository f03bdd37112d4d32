"""Packed shards: safetensors files of many networks, whose keys are `{network}/{parameter}`.

A network of a shard is named by a path below it, `networks-00000-of-00002.safetensors/seed-3.safetensors`, so
that whatever takes a file for each network takes these as well.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

SHARD = re.compile(r"networks-\d{5}-of-\d{5}\.safetensors")
SUFFIX = ".safetensors"
SEPARATOR = "/"
NETWORKS = "networks"  # the entry of a shard's metadata with its networks' names in order


def shard_name(number: int, count: int) -> str:
    """Return what the ``number``-th of ``count`` shards is called, as the hub's clients divide files."""
    return f"networks-{number:05d}-of-{count:05d}{SUFFIX}"


def with_networks_of_shards(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield paths, and instead of a packed shard its networks; a shard that cannot be read stays as it is."""
    for path in paths:
        names = networks_of(path) if SHARD.fullmatch(path.name) else []
        yield from [path / f"{name}{SUFFIX}" for name in names] or [path]


def networks_of(shard: Path) -> list[str]:
    """Return the names of a shard's networks, in the order in which its metadata list them; none where it
    cannot be read. Tensors themselves stand in an order of safetensors' own."""
    try:
        with shard.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        listed = json.loads(header.get("__metadata__", {}).get(NETWORKS, "[]"))
    except (OSError, ValueError, AttributeError):
        return []
    names = [key.rpartition(SEPARATOR)[0] for key in header if SEPARATOR in key]
    return list(dict.fromkeys([*listed, *names]))


def shard_of(path: Path) -> Path | None:
    """Return the packed shard that a network's path lies in; None for a file of its own."""
    return path.parent if SHARD.fullmatch(path.parent.name) and path.parent.is_file() else None


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Return the files that networks are read from, each once: shards instead of their networks."""
    return list(dict.fromkeys(shard_of(path) or path for path in paths))
