"""Tables as text lose no column."""

from pathlib import Path

import pandas as pd
import pytest

from dwf_steps.reporting.writing import presentable, write_table


def test_a_mean_and_its_deviation_share_a_column() -> None:
    shown = presentable(pd.DataFrame({"loss_mean": [0.12344], "loss_std": [0.0456], "n": [3]}))
    assert list(shown) == ["loss", "n"]
    assert shown.iloc[0].tolist() == ["0.1234 ± 0.046", "3"]


def test_a_label_and_a_value_of_one_stem_keep_a_column_each(tmp_path: Path) -> None:
    frame = pd.DataFrame({"zoo": ["digits"], "zoo_mean": [0.9], "zoo_std": [0.01]})
    shown = presentable(frame)
    assert list(shown) == ["zoo", "zoo_mean"]
    assert shown.iloc[0].tolist() == ["digits", "0.9 ± 0.01"]
    write_table(frame, tmp_path / "accuracy.csv")
    for ending in (".csv", ".md", ".tex"):
        text = (tmp_path / f"accuracy{ending}").read_text(encoding="utf-8")
        assert "digits" in text and "0.9" in text


def test_names_are_shown_as_they_are() -> None:
    assert presentable(pd.DataFrame({"zoo": ["007", "null", "na"]})).zoo.tolist() == ["007", "null", "na"]


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="several columns are called 'zoo'"):
        presentable(pd.DataFrame([["a", "b"]], columns=["zoo", "zoo"]))
