"""Packed shards: safetensors files with many networks, and the table of their networks beside them.

Keys in a shard are `{network}/{parameter}`.
"""

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path

SHARD = re.compile(r"networks-\d{5}-of-\d{5}\.safetensors")
TABLE = "networks.csv"
SEPARATOR = "/"
NETWORKS = "networks"  # the entry of a shard's metadata with its networks' names in order


def shard_name(number: int, count: int) -> str:
    """Return the file name of a shard, in the format of the hub's clients.

    Parameters
    ----------
    number
        Index of the shard, from 0.
    count
        Number of shards.

    Returns
    -------
    A name such as ``networks-00000-of-00003.safetensors``.
    """
    return f"networks-{number:05d}-of-{count:05d}.safetensors"


def networks_of(path: Path) -> list[str]:
    """Return the names of the networks in a packed shard.

    Parameters
    ----------
    path
        A file.

    Returns
    -------
    Names in the order of the shard's metadata, since safetensors orders tensors itself; none if the file is
    not a packed shard or cannot be read.
    """
    if not SHARD.fullmatch(path.name):
        return []
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        listed = json.loads(header.get("__metadata__", {}).get(NETWORKS, "[]"))
    except (OSError, ValueError, AttributeError):
        return []
    names = [key.rpartition(SEPARATOR)[0] for key in header if SEPARATOR in key]
    return list(dict.fromkeys([*listed, *names]))


def trainings_of(folder: Path) -> dict[str, dict[str, str]]:
    """Return which training and epoch the networks of packed shards come from.

    Parameters
    ----------
    folder
        The shards' folder, with the table ``networks.csv``.

    Returns
    -------
    By network name, texts as `import` would take them from a path: ``seed``, or ``trajectory`` for other
    names, and ``epoch``. Only checkpoints of trajectories have an entry; there is none if the table cannot be
    read.
    """
    try:
        with (folder / TABLE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return {}
    return {row["network"]: _texts(row) for row in rows if row.get("network") and row.get("trajectory")}


def _texts(row: Mapping[str, str]) -> dict[str, str]:
    trajectory, seed = row["trajectory"], row.get("seed", "")
    of_seed = seed.isdigit() and trajectory == f"seed-{seed}"
    training = {"seed": seed} if of_seed else {"trajectory": trajectory}
    return training | ({"epoch": row["epochs"]} if row.get("epochs") else {})
