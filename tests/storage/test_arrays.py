"""Records of arrays: what is damaged is found and named."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_record, save_record


@dataclass(frozen=True)
class Numbers:
    values: np.ndarray
    count: int = 3


@dataclass(frozen=True)
class Others:
    names: np.ndarray


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    save_record(tmp_path / "a.npz", Numbers(np.arange(5)))
    found = load_record(tmp_path / "a.npz", Numbers)
    np.testing.assert_array_equal(found.values, np.arange(5))
    assert found.count == 3
    assert isinstance(found.count, int)


def loads_or_is_refused(path: Path) -> None:
    try:
        found = load_record(path, Numbers)
    except InputError as error:
        assert str(error).startswith(f"{path}: not the arrays that were written")
        assert f"delete {path}, then `snakemake {path}` rebuilds it" in str(error)
    else:
        np.testing.assert_array_equal(found.values, np.arange(50))
        assert found.count == 3


def test_any_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_record(path, Numbers(np.arange(50)))
    content = path.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        loads_or_is_refused(path)


def test_any_truncation_is_found_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_record(path, Numbers(np.arange(50)))
    content = path.read_bytes()
    for kept in range(len(content)):
        path.write_bytes(content[:kept])
        with pytest.raises(InputError, match=r"a\.npz: not the arrays that were written .* delete"):
            load_record(path, Numbers)


def test_another_kind_of_record_is_an_error(tmp_path: Path) -> None:
    save_record(tmp_path / "a.npz", Numbers(np.arange(5)))
    with pytest.raises(InputError, match="names"):
        load_record(tmp_path / "a.npz", Others)
