"""CIFAR, SVHN and STL-10 are read from torchvision's own files, pixel by pixel."""

import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from dwf_steps.config.dataset import BUILT_IN, BuiltInName, SplitsConfig
from dwf_steps.datasets.images import torchvision_class, torchvision_images
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.fetch_data import fetch_data
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.libraries import torchvision_datasets

M = {"train": 400, "test": 100}


def images(name: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (m, channels, height, width) and classes, in which every class occurs."""
    facts = BUILT_IN[name]
    draws = np.random.default_rng(len(part))
    assert facts.shape is not None and facts.classes is not None
    return (
        draws.integers(256, size=(M[part], *facts.shape), dtype=np.uint8),
        np.arange(M[part]) % facts.classes,
    )


def pickled(path: Path, content: dict[str, Any]) -> None:
    path.write_bytes(pickle.dumps(content))


def write(name: str, root: Path) -> None:
    """Write a small data set as torchvision expects it."""
    (root / BUILT_IN[name].files[0]).parent.mkdir(parents=True, exist_ok=True)
    names = [f"class {i}" for i in range(BUILT_IN[name].classes or 0)]
    for part in M:
        x, y = images(name, part)
        flat = x.reshape(len(x), -1)
        match name:
            case "cifar10":
                folder = root / "cifar-10-batches-py"
                pickled(folder / "batches.meta", {"label_names": names})
                files = [f"data_batch_{k}" for k in range(1, 6)] if part == "train" else ["test_batch"]
                for file, rows in zip(files, np.array_split(np.arange(len(x)), len(files)), strict=True):
                    pickled(folder / file, {"data": flat[rows], "labels": y[rows].tolist()})
            case "cifar100":
                folder = root / "cifar-100-python"
                pickled(folder / "meta", {"fine_label_names": names})
                pickled(folder / part, {"data": flat, "fine_labels": y.tolist()})
            case "svhn":
                savemat(
                    root / f"{part}_32x32.mat",
                    {"X": x.transpose(2, 3, 1, 0), "y": np.where(y, y, 10)[:, None]},
                )
            case "stl10":
                folder = root / "stl10_binary"
                (folder / "class_names.txt").write_text("\n".join(names))
                (folder / f"{part}_X.bin").write_bytes(x.transpose(0, 1, 3, 2).tobytes())
                (folder / f"{part}_y.bin").write_bytes((y + 1).astype(np.uint8).tobytes())


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision take small files for its own, whose digests it knows."""
    for name in ("cifar10", "cifar100", "svhn", "stl10"):
        module = __import__(torchvision_class(name).__module__, fromlist=["check_integrity"])
        monkeypatch.setattr(module, "check_integrity", lambda *_: True)
        if name == "stl10":
            monkeypatch.setattr(torchvision_class(name), "_check_integrity", lambda _: True)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ["cifar10", "cifar100", "svhn", "stl10"])
def test_images_are_read_as_they_were_written(tmp_path: Path, name: BuiltInName) -> None:
    write(name, tmp_path / "mine")
    fetch_data(name, tmp_path / "mine", tmp_path / "fetched")
    for part in M:
        found = torchvision_images(name, tmp_path / "fetched", part == "train")
        x, y = images(name, part)
        np.testing.assert_array_equal(found.pixels, x)
        np.testing.assert_array_equal(found.targets, y)
    dataset = load_dataset(name, SplitsConfig(validation=0.49), tmp_path / "fetched")
    assert dataset.shape == BUILT_IN[name].shape
    assert dataset.classes == (() if name == "svhn" else tuple(f"class {i}" for i in range(len(set(y)))))
    assert (dataset.n_features, dataset.n_classes) == (BUILT_IN[name].features, BUILT_IN[name].classes)


@pytest.mark.usefixtures("unchecked")
def test_an_archive_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("cifar100", tmp_path / "mine")
    (tmp_path / "archives").mkdir()
    with tarfile.open(tmp_path / "archives/cifar-100-python.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "mine/cifar-100-python", "cifar-100-python")
    monkeypatch.setattr(torchvision_datasets().utils, "check_integrity", lambda *_: True)
    fetch_data("cifar100", tmp_path / "archives", tmp_path / "fetched")
    assert len(torchvision_images("cifar100", tmp_path / "fetched", train=True)) == M["train"]
    monkeypatch.setattr(torchvision_datasets().utils, "check_integrity", lambda *_: False)
    with pytest.raises(InputError, match=r"cifar-100-python\.tar\.gz is not the archive of cifar100"):
        fetch_data("cifar100", tmp_path / "archives", tmp_path / "again")


def test_files_that_torchvision_does_not_know_are_an_input_error(tmp_path: Path) -> None:
    write("cifar10", tmp_path)
    with pytest.raises(InputError, match=r"cifar10 cannot be read from .*; replace it"):
        torchvision_images("cifar10", tmp_path, train=True)
