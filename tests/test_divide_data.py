"""What is divided once is what every step would have divided for itself."""

from pathlib import Path

import numpy as np
import pytest

from dwf_steps.config.dataset import BuiltInName, SplitsConfig
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.datasets.splits import PARTS, Dataset
from dwf_steps.divide_data import DivideData, divide_data
from dwf_steps.runtime.errors import InputError


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_a_data_set_comes_back_as_it_was(tmp_path: Path, name: BuiltInName) -> None:
    splits = SplitsConfig(validation=0.2, seed=3)
    divide_data(DivideData(dataset=name, splits=splits), None, tmp_path / "data.npz")
    found, expected = Dataset.load(tmp_path / "data.npz"), load_dataset(name, splits, None)
    assert found.shape == expected.shape
    for part in PARTS:
        for kind in ("inputs", "targets"):
            one, other = (getattr(getattr(dataset, part), kind) for dataset in (found, expected))
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    x = np.random.default_rng(0).normal(size=(3, expected.n_features))
    np.testing.assert_array_equal(found.standardise(x), expected.standardise(x))


def test_the_same_data_are_the_same_bytes(tmp_path: Path) -> None:
    settings = DivideData(dataset="iris", splits=SplitsConfig())
    for name in "ab":
        divide_data(settings, None, tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    divide_data(DivideData(dataset="iris", splits=SplitsConfig()), None, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"data.npz: not the arrays that were written"):
        Dataset.load(path)
