"""Gathering the shards' alignment tables."""

from pathlib import Path

import pandas as pd

from dwf_steps.gather_alignment import gather_alignment


def test_the_rows_of_all_shards_stand_below_one_header_in_order(tmp_path: Path) -> None:
    frame = pd.DataFrame({"network": ["seed-0", "seed-1", "seed-2"], "distance_after": [0.0, 1.5, 2.5]})
    tables = [tmp_path / "shard-0.csv", tmp_path / "shard-1.csv"]
    frame[:2].to_csv(tables[0], index=False)
    frame[2:].to_csv(tables[1], index=False)
    gather_alignment(tables, tmp_path / "alignment.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "alignment.csv"), frame)
