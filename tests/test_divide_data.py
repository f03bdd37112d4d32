"""What is divided once is what every step would have divided for itself."""

from pathlib import Path

import numpy as np
import pytest

from dwf_steps.config.dataset import BUILT_IN, BuiltInName, DerivedData, SplitsConfig
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


def test_derived_data_are_the_same_examples_turned_and_with_other_classes(tmp_path: Path) -> None:
    classes = [3, 0, 1, None, 5, 6, 7, 8, 9, 2]
    settings = DivideData(dataset="digits", splits=SplitsConfig(), change="rotated", classes=classes)
    divide_data(settings, None, tmp_path / "data.npz")
    found, plain = Dataset.load(tmp_path / "data.npz"), load_dataset("digits", SplitsConfig(), None)
    assert found.shape == (1, 8, 8)
    for part in PARTS:
        split, before = getattr(found, part), getattr(plain, part)
        kept = before.targets != 3
        images, images_before = (x.reshape(-1, 8, 8) for x in (split.inputs, before.inputs[kept]))
        # By a quarter: what lay in row i and column j lies in row 7 - j and column i.
        i, j = np.indices((8, 8))
        np.testing.assert_array_equal(images[:, 7 - j, i], images_before[:, i, j])
        assert [classes[k] for k in before.targets[kept]] == split.targets.tolist()
    assert found.classes == ("1", "2", "9", "0", "", "4", "5", "6", "7", "8")


def test_a_class_that_several_become_has_all_of_their_names(tmp_path: Path) -> None:
    settings = DivideData(dataset="iris", splits=SplitsConfig(), classes=[3, 1, 3])
    divide_data(settings, None, tmp_path / "data.npz")
    assert Dataset.load(tmp_path / "data.npz").classes == ("", "versicolor", "", "setosa, virginica")


def test_of_derived_data_size_and_classes_are_known_before_they_are_loaded() -> None:
    derived = DerivedData(of="mnist", size=8, classes=[0, 1, 2, 3, 4, None, None, None, None, None])
    facts = derived.facts(BUILT_IN["mnist"])
    assert (facts.shape, facts.features, facts.classes) == ((1, 8, 8), 64, 5)
    named = DerivedData(of="wine", classes=[2, 0, 1]).facts(BUILT_IN["wine"])
    assert (named.shape, named.features, named.classes) == (None, 13, 3)
