"""Facts of networks in the table of an exported folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dwf_steps.config.imported_networks import ImportedNetwork
from dwf_steps.config.packed import SHARD, TABLE
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import TRAJECTORY
from dwf_steps.zoo.recorded import RECORDED

ORIGIN = "origin"  # the steps that made a network, by the names of the folders below `results`
NEAREST = "nearest"  # the training network closest to a generated one
LINEAGE = ("initialisation", NEAREST, ORIGIN)
NUMBERS: dict[str, Callable[[Any], float]] = {"seed": int, "step": int, "epochs": float}
ACCURACIES = ("test_accuracy", "accuracy", RECORDED)  # in order of preference
TEXTS = ("network", TRAJECTORY, *LINEAGE)  # columns that are read as text


def exported_table(table: Path) -> dict[str, dict[str, Any]]:
    """Read the table that `dwf export` wrote beside its shards.

    Parameters
    ----------
    table
        The csv file, which need not exist.

    Returns
    -------
    network -> column -> value, without empty cells; empty if there is no file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if not table.is_file():
        return {}
    try:
        frame = pd.read_csv(table, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=[""])
    except ValueError as error:
        raise InputError(
            f"{table}: not a csv table ({error}); export the networks again, or remove it and lose the facts "
            "that it states"
        ) from error
    return facts_by_name(frame.drop(columns="shard", errors="ignore")) if "network" in frame else {}


def facts_by_name(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Convert a table of networks into facts by name.

    Parameters
    ----------
    frame
        A row per network, with the column ``network``.

    Returns
    -------
    network -> column -> value, without empty cells.
    """
    rows = frame.to_dict("records")
    return {
        str(row["network"]): {str(k): v for k, v in row.items() if k != "network" and pd.notna(v)}
        for row in rows
    }


def exported_facts(networks: Sequence[ImportedNetwork]) -> list[dict[str, Any]]:
    """Look up the facts of networks in packed shards.

    Parameters
    ----------
    networks
        The networks' names and files.

    Returns
    -------
    For each network the available ones of ``seed``, ``step``, ``epochs``, ``recorded_accuracy``, a share of
    1, and its lineage, `LINEAGE`; empty for networks in other files.

    Raises
    ------
    InputError
        If a table cannot be read, or holds an invalid number or accuracy.
    """
    folders = dict.fromkeys(one.path.parent for one in networks if SHARD.fullmatch(one.path.name))
    tables = {folder: exported_table(folder / TABLE) for folder in folders}
    facts = []
    for one in networks:
        packed = SHARD.fullmatch(one.path.name)
        row = tables[one.path.parent].get(one.name, {}) if packed else {}
        where = f"{one.path.parent / TABLE}: the row of {one.name}"
        found = {name: _number(row, name, where, kind) for name, kind in NUMBERS.items() if name in row}
        if accuracy := next((name for name in ACCURACIES if name in row), None):
            found[RECORDED] = _number(row, accuracy, where, _share)
        facts.append(found | {name: row[name] for name in LINEAGE if name in row})
    return facts


def _number(row: Mapping[str, Any], name: str, where: str, kind: Callable[[Any], float]) -> Any:
    try:
        return kind(row[name])
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{where}: {name} is {row[name]!r}, expected {'0 to 1' if kind is _share else 'a number'}; "
            "correct it, or export the networks again"
        ) from error


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(share)
    return share
