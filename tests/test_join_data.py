"""The data of several zoos together are all their examples, and the first ones are of all of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_zoo import command, iris

from dwf_steps import join_data
from dwf_steps.datasets.splits import PARTS, Dataset
from dwf_steps.pipeline.settings.data import JoinData
from dwf_steps.runtime.errors import InputError


def members(folder: Path) -> list[Path]:
    """Write iris, and iris with all inputs moved by ten and the classes in another order."""
    first = iris(folder)
    moved = Dataset.load(first).with_splits(
        lambda split: replace(split, inputs=split.inputs + 10, targets=(split.targets + 1) % 3)
    )
    moved.save(folder / "moved.npz")
    return [first, folder / "moved.npz"]


def joined(folder: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> Dataset:
    settings = JoinData(zoos=["one", "other"])
    options = ["--settings", settings.to_argument(), "--members", *paths, "--output", folder / "data.npz"]
    command(monkeypatch, join_data.main, *options)
    return Dataset.load(folder / "data.npz")


def test_every_part_has_examples_of_all_zoos_in_equal_numbers_with_their_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = members(tmp_path)
    few = Dataset.load(second).with_splits(lambda split: split.first(9))
    few.save(second)
    found = joined(tmp_path, [first, second], monkeypatch)
    for part in PARTS:
        split = getattr(found, part)
        rows = {tuple(row) for row in np.column_stack([split.inputs, split.targets]).tolist()}
        for dataset in (Dataset.load(first), few):
            own = getattr(dataset, part)
            there = rows & {tuple(row) for row in np.column_stack([own.inputs, own.targets]).tolist()}
            assert len(there) >= 8  # some flowers are equal
        assert len(split) == 18
    assert (found.train.task, found.shape) == ("classification", None)


def test_the_first_examples_are_of_all_zoos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = joined(tmp_path, members(tmp_path), monkeypatch)
    moved = found.train.first(40).inputs.mean(axis=1) > 5
    assert 10 < moved.sum() < 30
    np.testing.assert_array_equal(found.train.first(40).data_sets, np.where(moved, "other", "one"))
    again = joined(tmp_path, members(tmp_path), monkeypatch)
    np.testing.assert_array_equal(found.train.inputs, again.train.inputs)


@pytest.mark.parametrize(
    ("change", "described"),
    [
        ({"task": "regression", "scale": 5.0}, "of 4 features for regression, tolerance 0, scale 5"),
        ({"inputs": np.zeros((7, 3), np.float32), "targets": np.arange(7) % 3}, "of 3 features for class"),
    ],
)
def test_data_that_do_not_fit_the_same_networks_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], described: str
) -> None:
    first, second = members(tmp_path)
    Dataset.load(second).with_splits(lambda split: replace(split, **change)).save(second)
    with pytest.raises(InputError, match=rf"moved\.npz: the data of zoo 'other' are {described}.*zoo 'one'"):
        joined(tmp_path, [first, second], monkeypatch)
