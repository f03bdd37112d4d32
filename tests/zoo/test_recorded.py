"""Recorded accuracies and epochs find their networks, or every one that has none is named."""

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dwf_steps.config.imported_networks import ImportedNetwork, imported_networks
from dwf_steps.config.zoo import RecordedValues
from dwf_steps.runtime.errors import InputError
from dwf_steps.zoo.recorded import compare, recorded_facts

RUNS, EPOCHS = ("a", "b"), (0, 5, 10)


def accuracy(run: str, epoch: int) -> float:
    return RUNS.index(run) / 2 + epoch / 100


@pytest.fixture
def networks(tmp_path: Path) -> list[ImportedNetwork]:
    for run in RUNS:
        (tmp_path / run).mkdir()
        for epoch in EPOCHS:
            (tmp_path / run / f"ep{epoch:03d}.pt").touch()
    return imported_networks(f"{tmp_path}/{{run}}/ep{{epoch}}.pt", None)


def found(networks: list[ImportedNetwork], file: Path, **settings: Any) -> list[float]:
    recorded = RecordedValues(file=str(file), **{"accuracy": "acc"} | settings)
    return [facts["recorded_accuracy"] for facts in recorded_facts(recorded, networks)]


EXPECTED = [accuracy(run, epoch) for run in RUNS for epoch in EPOCHS]
ROWS = [
    {"run": run, "epoch": epoch, "acc": accuracy(run, epoch)} for run in reversed(RUNS) for epoch in EPOCHS
]


def test_one_csv_has_rows_by_the_names_of_paths(tmp_path: Path, networks: list[ImportedNetwork]) -> None:
    pd.DataFrame(ROWS).to_csv(tmp_path / "all.csv", index=False)
    assert found(networks, tmp_path / "all.csv") == EXPECTED


@pytest.mark.parametrize("kind", ["list", "lines", "under a key"])
def test_one_json_has_rows_by_other_names(tmp_path: Path, networks: list[ImportedNetwork], kind: str) -> None:
    rows = [{"trial": row["run"], "training_iteration": row["epoch"], "acc": row["acc"]} for row in ROWS]
    path, settings = tmp_path / "all.json", {"match": {"run": "trial", "epoch": "training_iteration"}}
    if kind == "lines":
        path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    else:
        path.write_text(json.dumps(rows if kind == "list" else {"version": 1, "trials": rows}))
    assert found(networks, path, **settings, rows="trials" if kind == "under a key" else None) == EXPECTED


def test_every_training_may_have_a_file(tmp_path: Path, networks: list[ImportedNetwork]) -> None:
    for run in RUNS:
        rows = [{"training_iteration": e, "acc": accuracy(run, e), "more": {"x": 1}} for e in range(11)]
        (tmp_path / run / "result.json").write_text("\n".join(map(json.dumps, rows)))
    file = tmp_path / "{run}" / "result.json"
    assert found(networks, file, match={"epoch": "training_iteration"}) == EXPECTED


@pytest.mark.usefixtures("networks")
def test_of_many_rows_those_of_one_epoch_may_count(tmp_path: Path) -> None:
    for run in RUNS:
        rows = [{"iteration": e, "acc": accuracy(run, e)} for e in range(11)]
        (tmp_path / run / "result.json").write_text("\n".join(map(json.dumps, rows)))
    last = imported_networks(f"{tmp_path}/{{run}}/ep010.pt", None)
    assert found(last, tmp_path / "{run}/result.json", where={"iteration": 10}) == EXPECTED[2::3]
    assert "no column 'epoch', found acc, iteration" in complaint(
        last, tmp_path / "{run}/result.json", where={"epoch": 10}, match={"run": "iteration"}
    )


def test_every_network_may_have_a_file(tmp_path: Path, networks: list[ImportedNetwork]) -> None:
    for run in RUNS:
        for epoch in EPOCHS:
            (tmp_path / run / f"ep{epoch:03d}.json").write_text(json.dumps({"acc": accuracy(run, epoch)}))
    assert found(networks, tmp_path / "{run}/ep{epoch}.json") == EXPECTED


@pytest.mark.parametrize("file", ["{run}/runs.json", "runs.json"])
@pytest.mark.parametrize("name", ["{run}/ep{epoch:03d}.pt", "{run}/ep{epoch:03d}", "{run}-ep{epoch:03d}"])
def test_rows_may_name_files(tmp_path: Path, networks: list[ImportedNetwork], file: str, name: str) -> None:
    rows = {name.format(**row): {"wrong": 100 * (1 - accuracy(row["run"], row["epoch"]))} for row in ROWS}
    for run in RUNS:
        (tmp_path / file.format(run=run)).write_text(json.dumps({"checkpoints": rows, "metadata": {}}))
    settings = {"rows": "checkpoints", "accuracy": "wrong", "accuracy_in": "wrong_percent"}
    assert found(networks, tmp_path / file, **settings) == pytest.approx(EXPECTED)


def test_rows_of_a_training_may_name_files_alone(tmp_path: Path, networks: list[ImportedNetwork]) -> None:
    for run in RUNS:
        rows = [{"file": f"ep{epoch:03d}.pt", "acc": accuracy(run, epoch)} for epoch in EPOCHS]
        pd.DataFrame(rows).to_csv(tmp_path / run / "log.csv", index=False)
    assert found(networks, tmp_path / "{run}/log.csv") == EXPECTED


def test_epochs_may_be_recorded_instead_of_accuracies(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.pt").touch()
    pd.DataFrame({"network": ["b", "a"], "trained for": [3.5, 2]}).to_csv(tmp_path / "t.csv", index=False)
    recorded = RecordedValues(file=str(tmp_path / "t.csv"), epochs="trained for")
    assert recorded_facts(recorded, imported_networks(str(tmp_path), None)) == [
        {"epochs": 2.0},
        {"epochs": 3.5},
    ]


def complaint(networks: list[ImportedNetwork], file: Path, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        found(networks, file, **settings)
    return str(caught.value)


def test_networks_without_a_row_or_with_two_are_all_named(
    tmp_path: Path, networks: list[ImportedNetwork]
) -> None:
    path = tmp_path / "all.csv"
    pd.DataFrame([row for row in ROWS[1:]] + ROWS[-1:]).to_csv(path, index=False)
    message = complaint(networks, path)
    assert "`recorded` does not fit the zoo's networks; nothing was written:" in message
    assert f"{path}: found no row for {tmp_path / 'b' / 'ep000.pt'} (run = b, epoch = 000); add it" in message
    assert f"{path}: found 2 rows for {tmp_path / 'a' / 'ep010.pt'}, expected one" in message
    assert message.count("\n") == 2


def test_values_that_are_no_shares_are_named(tmp_path: Path, networks: list[ImportedNetwork]) -> None:
    path = tmp_path / "all.csv"
    pd.DataFrame([row | {"acc": 93.5} for row in ROWS]).to_csv(path, index=False)
    assert "acc is 93.5, expected 0 to 1 with `recorded.accuracy_in: shares`; correct it" in complaint(
        networks, path
    )
    assert found(networks, path, accuracy_in="percent") == [0.935] * 6
    pd.DataFrame([row | {"acc": ""} for row in ROWS]).to_csv(path, index=False)
    assert "acc is '', expected a number" in complaint(networks, path)


def test_files_and_columns_that_are_not_there_are_named(
    tmp_path: Path, networks: list[ImportedNetwork]
) -> None:
    path = tmp_path / "all.json"
    assert complaint(networks, path) == f"{path}: no such file; correct `recorded.file`"
    path.write_text("{")
    assert f"{path}: not a table (" in complaint(networks, path)
    path.write_text(json.dumps(ROWS))
    assert f"{path}: no column 'accuracy', found acc, epoch, run; correct `recorded`" == complaint(
        networks, path, accuracy="accuracy"
    )
    path.write_text(json.dumps([{"acc": 1.0}, {"acc": 0.5}]))
    assert f"{path}: no column identifies the networks; found acc; name one" in complaint(networks, path)
    path.write_text("[1, 2]")
    assert f"{path}: found no rows" in complaint(networks, path)


def test_recorded_accuracies_far_from_measured_ones_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    compare([0.9, 0.8, 0.7], [0.9, 0.82, 0.71])
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "by 0.0100 (median), 0.0200 (maximum)" in caplog.text
    compare([0.9, 0.8, 0.7], [0.1, 0.1, 0.1])
    assert caplog.records[-1].levelname == "WARNING"
    assert (
        "recorded accuracies (mean 0.800) are not those measured on the test set (mean 0.100)"
        in caplog.messages[-1]
    )
