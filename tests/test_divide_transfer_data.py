"""The data set that networks are taken to is divided by the command of its own name, and made to fit them."""

from pathlib import Path

import numpy as np
import pytest
from tiny_zoo import command, iris

from dwf_steps import divide_transfer_data
from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.datasets.splits import PARTS, Dataset
from dwf_steps.pipeline.settings.data import DivideTransferData
from dwf_steps.runtime.errors import InputError


def divided(
    folder: Path, monkeypatch: pytest.MonkeyPatch, classes: list[int | None], size: int | None = None
) -> Dataset:
    settings = DivideTransferData(dataset="iris", splits=SplitsConfig(), classes=classes, size=size)
    options = ["--settings", settings.to_argument(), "--data-dir", "", "--output", folder / "other.npz"]
    command(monkeypatch, divide_transfer_data.main, *options)
    return Dataset.load(folder / "other.npz")


def test_classes_are_called_by_the_outputs_that_stand_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, own = divided(tmp_path, monkeypatch, [2, None, 0]), Dataset.load(iris(tmp_path))
    for part in PARTS:
        split, before = getattr(found, part), getattr(own, part)
        kept = before.targets != 1
        np.testing.assert_array_equal(split.inputs, before.inputs[kept])
        np.testing.assert_array_equal(split.targets, 2 - before.targets[kept])


def test_an_output_is_named_for_every_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="classes: found 2, but the data have 3 classes"):
        divided(tmp_path, monkeypatch, [0, 1])
    assert not (tmp_path / "other.npz").exists()


def test_only_images_are_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="size: the data are not images"):
        divided(tmp_path, monkeypatch, [0, 1, 2], size=8)
