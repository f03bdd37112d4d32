"""The alignment of all shards in one table."""

from pathlib import Path

import pandas as pd
import pytest

from dwf_steps.gather_alignment import gather_alignment
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.csv_tables import read_csv, write_csv


def shard(path: Path, names: list[str], distance: float) -> Path:
    write_csv(path, pd.DataFrame({"network": names, "distance_before": distance}))
    return path


def test_rows_of_all_shards_follow_each_other_to_the_last_digit(tmp_path: Path) -> None:
    shards = [shard(tmp_path / "0.csv", ["007", "a"], 0.1 + 0.2), shard(tmp_path / "1.csv", ["null"], 1 / 3)]
    gather_alignment(shards, tmp_path / "all.csv")
    table = read_csv(tmp_path / "all.csv")
    assert table.network.tolist() == ["007", "a", "null"]
    lines = (tmp_path / "all.csv").read_text(encoding="utf-8").splitlines()
    assert lines == [
        "network,distance_before",
        *("007,0.30000000000000004", "a,0.30000000000000004", "null,0.3333333333333333"),
    ]


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    path = shard(tmp_path / "0.csv", ["a"], 1.0)
    path.write_text("network,distance_before\na,2.0\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"0\.csv: SHA-256 is"):
        gather_alignment([path], tmp_path / "all.csv")
