"""Results come back from csv files as they were written, or not at all."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.csv_tables import read_csv, write_csv
from dwf_steps.storage.texts import digest_file, read_text, write_text

NAMES = ["2024", "007", "null", "na", "NaN", "None", "1e5", "true", "grün", "a,b", 'a"b', ""]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def test_names_that_look_like_numbers_or_missing_values_stay_names(path: Path) -> None:
    n = len(NAMES)
    frame = pd.DataFrame({"network": NAMES, "zoo": "007", "failed": False, "accuracy": np.arange(n) / n})
    frame.loc[2, "accuracy"] = np.nan
    write_csv(path, frame)
    pd.testing.assert_frame_equal(read_csv(path), frame)


def test_values_that_are_missing_or_infinite_stay_numbers(path: Path) -> None:
    frame = pd.DataFrame({"zoo": ["a", "b"], "barrier": [np.nan, np.nan], "break_even": [np.inf, 2.0]})
    write_csv(path, frame)
    pd.testing.assert_frame_equal(read_csv(path), frame)


def test_a_table_without_rows_keeps_its_columns(path: Path) -> None:
    write_csv(path, pd.DataFrame(columns=["size", "accuracy"]))
    assert list(read_csv(path).columns) == ["size", "accuracy"]


def test_two_columns_of_one_name_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="several columns are called 'zoo'"):
        write_csv(path, pd.DataFrame([[1, 2]], columns=["zoo", "zoo"]))
    assert not path.exists()


def test_a_flipped_bit_in_any_byte_is_named_with_its_remedy(path: Path) -> None:
    write_csv(path, pd.DataFrame({"network": ["seed-0"], "accuracy": [0.5]}))
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(InputError) as error:
            read_csv(path)
        assert str(error.value).startswith(f"{path}: SHA-256 is ")
        assert f"delete {path}, then `snakemake {path}` rebuilds it" in str(error.value)


def test_a_lost_end_is_noticed(path: Path) -> None:
    write_csv(path, pd.DataFrame({"network": ["seed-0", "seed-1"]}))
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="changed after it was written"):
        read_csv(path)


def test_a_copy_without_its_digest_is_refused(path: Path) -> None:
    write_text(path, "a\n")
    digest_file(path).unlink()
    with pytest.raises(InputError, match=r"digest that belongs to it, .*\.metrics\.csv\.sha256, is missing"):
        read_text(path)


def test_digests_are_those_that_sha256sum_checks(path: Path) -> None:
    write_text(path, "grün\n")
    done = subprocess.run(["sha256sum", "--check", digest_file(path).name], cwd=path.parent, check=False)
    assert done.returncode == 0
