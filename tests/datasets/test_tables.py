"""Csv tables as they come: with a test file, in other encodings, with other separators, with a counter."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from dwf_steps.config.dataset import SplitsConfig, TableFile
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.datasets.tables import table_from_file
from dwf_steps.runtime.errors import InputError


def frame(rows: int, seed: int) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    kinds = np.resize(["Möwe", "Fink", "雀"], rows)
    return pd.DataFrame({"größe": draws.normal(size=rows), "b": draws.normal(size=rows), "Art": kinds})


def table(path: Path, **stated: Any) -> TableFile:
    return TableFile.model_validate({"file": path / "train.csv", "target": "Art"} | stated)


def test_a_test_file_is_the_test_set_whatever_the_order_of_its_columns(tmp_path: Path) -> None:
    train, test = frame(30, 0), frame(12, 1)
    train.to_csv(tmp_path / "train.csv", index=False)
    test[["Art", "b", "größe"]].to_csv(tmp_path / "test.csv", index=False)
    config = table(tmp_path, test=tmp_path / "test.csv")
    (inputs, _), held_out, classes = table_from_file(config)
    assert held_out is not None
    np.testing.assert_allclose(inputs, train[["größe", "b"]])
    np.testing.assert_allclose(held_out[0], test[["größe", "b"]])
    assert held_out[1].tolist() == [["Fink", "Möwe", "雀"].index(kind) for kind in test.Art]
    data = load_dataset(config, SplitsConfig(validation=0.2), None)
    assert (len(data.train), len(data.validation), len(data.test)) == (24, 6, 12)
    assert data.classes == tuple(classes) == ("Fink", "Möwe", "雀")
    np.testing.assert_allclose(data.test.inputs, (held_out[0] - data.mean) / data.std, rtol=1e-5)


def test_numbers_of_the_test_file_are_on_the_same_scale(tmp_path: Path) -> None:
    for name, values in (("train", [0.0, 5, 10, 2]), ("test", [1.0, 4, 3])):
        numbers = np.arange(len(values)) ** 2
        pd.DataFrame({"x": numbers, "Art": values}).to_csv(tmp_path / f"{name}.csv", index=False)
    config = table(tmp_path, test=tmp_path / "test.csv", regression={"low": 0, "high": 10})
    _, held_out, classes = table_from_file(config)
    assert held_out is not None and classes == []
    np.testing.assert_allclose(held_out[1], [0.1, 0.4, 0.3])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda test: test.drop(columns="b"), "columns are not those of .*: missing b, further ones none"),
        (lambda test: test.assign(c=1.0), "missing none, further ones c"),
        (lambda test: test.assign(Art="Spatz"), "classes Spatz do not occur in .*, which has Fink, Möwe, 雀"),
        (lambda test: test.assign(b=np.nan), r"test.csv: 'b' is nan in data row 0"),
    ],
)
def test_a_test_file_that_does_not_fit_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    frame(30, 0).to_csv(tmp_path / "train.csv", index=False)
    change(frame(12, 1)).to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(InputError, match=message):
        table_from_file(table(tmp_path, test=tmp_path / "test.csv"))


@pytest.mark.parametrize(("encoding", "separator"), [("latin-1", ";"), ("utf-16", "\t"), ("cp1252", "|")])
def test_files_in_a_stated_encoding_with_a_stated_separator(
    tmp_path: Path, encoding: str, separator: str
) -> None:
    rows = frame(30, 0).replace({"雀": "Häher"})
    rows.to_csv(tmp_path / "train.csv", index=False, encoding=encoding, sep=separator)
    (inputs, targets), *_ = table_from_file(table(tmp_path, encoding=encoding, separator=separator))
    np.testing.assert_allclose(inputs, rows[["größe", "b"]])
    assert targets.tolist() == [["Fink", "Häher", "Möwe"].index(kind) for kind in rows.Art]
    with pytest.raises(
        InputError, match=r"train.csv: its characters are not encoded in utf-8 .*state the `enc"
    ):
        table_from_file(table(tmp_path))


def test_an_unknown_encoding_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="unknown encoding 'utf-9'; expected one such as utf-8"):
        table(tmp_path, encoding="utf-9")


def test_a_column_that_only_counts_rows_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame(30, 0).to_csv(tmp_path / "train.csv", index_label="id")
    table_from_file(table(tmp_path))
    (message,) = caplog.messages
    assert "train.csv: column 'id' only numbers the rows" in message
    assert "drop it" in message
    caplog.clear()
    frame(30, 0).to_csv(tmp_path / "train.csv", index=False)
    table_from_file(table(tmp_path))
    assert caplog.messages == []
