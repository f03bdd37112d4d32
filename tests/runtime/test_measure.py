"""What a step took is written once it has ended, and only then."""

from pathlib import Path

import pandas as pd
import pytest

from dwf_steps.runtime.measure import measured


def test_seconds_and_memory_are_written_beside_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks/train.tsv"
    with measured(path):
        assert not path.exists()
    row = pd.read_csv(path, sep="\t").iloc[0]
    assert 0 <= row.s < 60 and 1 < row.max_rss < 10**6
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_step_has_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), measured(tmp_path / "train.tsv"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
