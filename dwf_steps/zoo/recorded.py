"""Facts recorded by others about imported networks, in csv or JSON files."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dwf_steps.config.imported_networks import ImportedNetwork, base_name
from dwf_steps.config.patterns import groups_of
from dwf_steps.config.zoo import RecordedValues
from dwf_steps.runtime.errors import InputError

RECORDED = "recorded_accuracy"  # name of the fact
FILE = "file"  # key of the column that names the network's file
FILE_COLUMNS = (FILE, "network", "name", "path")  # default names of that column
FAR = 0.05  # difference of recorded and measured accuracies that precision cannot explain

Row = Mapping[str, Any]

logger = logging.getLogger(__name__)


def recorded_facts(recorded: RecordedValues, networks: Sequence[ImportedNetwork]) -> list[dict[str, Any]]:
    """Look up the recorded facts of each network.

    Parameters
    ----------
    recorded
        The files, and the columns that identify networks and hold values.
    networks
        The networks.

    Returns
    -------
    For each network ``recorded_accuracy``, a share of 1, and ``epochs``, if they are configured.

    Raises
    ------
    InputError
        Listing all networks without a row, with several, or without a usable value; or if a file cannot be
        read.
    """
    tables: dict[Path, _Table] = {}
    facts, problems = [], []
    for network in networks:
        path = recorded.path(network)
        if path not in tables:
            tables[path] = _Table(path, recorded, network)
        try:
            facts.append(_facts(recorded, tables[path].row(network), f"{path}: the row of {network.where}"))
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError.of("`recorded` does not fit the zoo's networks; nothing was written", problems)
    return facts


def compare(recorded: Sequence[float], measured: Sequence[float]) -> None:
    """Log the differences between recorded accuracies and those on the test set; warn if they are large.

    Parameters
    ----------
    recorded
        Recorded accuracies, in [0, 1].
    measured
        Accuracies measured on the test set, in the same order.
    """
    apart = np.abs(np.subtract(recorded, measured))
    if not np.isfinite(apart).all() or not len(apart):
        return
    logger.info(
        "recorded accuracies differ from those measured on the test set by %.4f (median), %.4f (maximum)",
        *(np.median(apart), apart.max()),
    )
    if np.median(apart) > FAR:
        logger.warning(
            "recorded accuracies (mean %.3f) are not those measured on the test set (mean %.3f): other data, "
            "other preprocessing, or another order of classes; check `dataset`, `splits` and `keys`",
            *(np.mean(recorded), np.mean(measured)),
        )


class _Table:
    """The rows of a file, indexed by the columns that identify networks."""

    def __init__(self, path: Path, recorded: RecordedValues, network: ImportedNetwork) -> None:
        self.path = path
        rows = _rows(path, recorded.rows)
        columns = {column for row in rows for column in row}
        wanted = {column: _text(value, column) for column, value in recorded.where.items()}
        self._rows = [
            row for row in rows if all(_text(row.get(c), c) == value for c, value in wanted.items())
        ]
        self._columns = recorded.match or self._default(columns, recorded, network)
        for name in (*recorded.where, *self._columns.values(), recorded.accuracy, recorded.epochs):
            if name is not None and name not in columns:
                raise InputError(
                    f"{path}: no column {name!r}, found {', '.join(sorted(columns))}; correct `recorded`"
                )
        self._by_key: dict[tuple[str, ...], list[Row]] = {}
        for row in self._rows:
            key = tuple(_text(row.get(column), name) for name, column in self._columns.items())
            self._by_key.setdefault(key, []).append(row)

    def _default(
        self, columns: set[str], recorded: RecordedValues, network: ImportedNetwork
    ) -> dict[str, str]:
        """Return the columns that identify networks if the configuration does not name them."""
        if len(self._rows) == 1 and network.texts.keys() == set(groups_of(recorded.file)) != set():
            return {}  # a file for each network
        told = [name for name in network.texts if name not in groups_of(recorded.file) and name in columns]
        if told:
            return {name: name for name in told}
        if column := next((column for column in FILE_COLUMNS if column in columns), None):
            return {FILE: column}
        raise InputError(
            f"{self.path}: no column identifies the networks; found {', '.join(sorted(columns))}; "
            "name one in `recorded.match`, as in {epoch: training_iteration}"
        )

    def row(self, network: ImportedNetwork) -> Row:
        """Return the only row of a network."""
        for key in self._keys(network):
            found = self._by_key.get(key, [])
            if len(found) > 1:
                raise InputError(
                    f"{self.path}: found {len(found)} rows for {network.where}, expected one; distinguish "
                    "them with more columns in `recorded.match`, or remove the others"
                )
            if found:
                return found[0]
        told = {name: network.texts.get(name, network.name) for name in self._columns}
        raise InputError(
            f"{self.path}: found no row for {network.where} ("
            + ", ".join(f"{column} = {told[name]}" for name, column in self._columns.items())
            + "); add it, leave the network out, or correct `recorded.match`"
        )

    def _keys(self, network: ImportedNetwork) -> list[tuple[str, ...]]:
        """Return the keys under which a network's row may be found.

        Files are identified by any suffix of their path, with or without the file extension.
        """
        of_file = [network.name]
        if network.number is None:
            ends = [network.path.parts[-levels:] for levels in range(1, len(network.path.parts) + 1)]
            of_file += ["/".join(end) for end in ends]
            of_file += ["/".join((*end[:-1], base_name(network.path))) for end in ends]
        choices = of_file if FILE in self._columns else [""]
        return [
            tuple(choice if name == FILE else _text(network.texts[name], name) for name in self._columns)
            for choice in dict.fromkeys(choices)
        ]


def _text(value: Any, name: str) -> str:
    """Return a value in the form in which it is compared: numbers by value, so that 50 equals 000050."""
    text = str(value).strip()
    if name == FILE:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return repr(number) if math.isfinite(number) else text


def _rows(path: Path, key: str | None) -> list[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
            rows: Any = frame.to_dict("records")
        else:
            rows = _json_rows(text, key)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; correct `recorded.file`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a table ({type(error).__name__}: {error}); expected csv, or JSON with a list of "
            "rows, a row a line, or a row for each name"
        ) from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: found no rows; expected columns with names, in each row")
    return rows


def _json_rows(text: str, key: str | None) -> Any:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        content = list(map(json.loads, filter(str.strip, text.splitlines())))
    if key is not None:
        content = content[key]
    if not isinstance(content, dict):
        return content
    if content and all(isinstance(row, dict) for row in content.values()):
        return [{FILE: name} | row for name, row in content.items()]
    return [content]


def _facts(recorded: RecordedValues, row: Row, where: str) -> dict[str, Any]:
    number = partial(_number, row, where)
    facts: dict[str, Any] = {}
    if recorded.accuracy is not None:
        value = number(recorded.accuracy)
        share = value / 100 if recorded.accuracy_in in ("percent", "wrong_percent") else value
        if not 0 <= share <= 1:
            raise InputError(
                f"{where}: {recorded.accuracy} is {value:g}, expected 0 to {1 if share == value else 100} "
                f"with `recorded.accuracy_in: {recorded.accuracy_in}`; correct it"
            )
        facts[RECORDED] = 1 - share if recorded.accuracy_in.startswith("wrong") else share
    if recorded.epochs is not None:
        facts["epochs"] = number(recorded.epochs)
    return facts


def _number(row: Row, where: str, column: str) -> float:
    value = row.get(column)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: {column} is {value!r}, expected a number; correct or remove the row")
    return number
