"""Packed shards: safetensors files of many networks, whose keys are `{network}/{parameter}`, and the table of
their networks beside them."""

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
    """Return what the ``number``-th of ``count`` shards is called, as the hub's clients divide files."""
    return f"networks-{number:05d}-of-{count:05d}.safetensors"


def networks_of(path: Path) -> list[str]:
    """Return the names of a packed shard's networks, in the order in which its metadata list them; none where
    the file is none or cannot be read. Tensors themselves stand in an order of safetensors' own."""
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
    """Return what the table in a folder of shards tells of checkpoints, by network, as a path would: their
    ``seed``, or another name of their ``trajectory``, and their ``epoch``. Nothing of other networks."""
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
