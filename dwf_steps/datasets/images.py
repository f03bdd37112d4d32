"""Image data sets in torchvision's file formats."""

import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dwf_steps.config.dataset import BUILT_IN, IDX_FILES, missing_files
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.libraries import torchvision_datasets
from dwf_steps.storage.remedy import rebuild

# Data set -> torchvision's class, and its arguments for training and for test images.
CLASSES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "mnist": ("MNIST", {"train": True}, {"train": False}),
    "fashion_mnist": ("FashionMNIST", {"train": True}, {"train": False}),
    "cifar10": ("CIFAR10", {"train": True}, {"train": False}),
    "cifar100": ("CIFAR100", {"train": True}, {"train": False}),
    "svhn": ("SVHN", {"split": "train"}, {"split": "test"}),
    "stl10": ("STL10", {"split": "train"}, {"split": "test"}),
}
UNREADABLE = (
    RuntimeError,
    ValueError,
    AssertionError,
    IndexError,
    KeyError,
    EOFError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True)
class Images:
    """Images and their classes.

    Attributes
    ----------
    pixels
        (m, channels, height, width) uint8.
    targets
        (m,) int64.
    """

    pixels: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def inputs(self) -> np.ndarray:
        """Pixels in [0, 1], (m, channels * height * width) float32, channel by channel."""
        scaled: np.ndarray = self.pixels.reshape(len(self), -1).astype(np.float32)
        scaled /= 255
        return scaled


@dataclass(frozen=True)
class NamedImages(Images):
    """Images and the names of their ``classes``, in order; empty if torchvision does not know them."""

    classes: tuple[str, ...]


def torchvision_class(name: str) -> Any:
    """Find torchvision's class of a data set.

    Parameters
    ----------
    name
        Name of the data set in the configuration.

    Returns
    -------
    The class.
    """
    return getattr(torchvision_datasets(), CLASSES[name][0])


def torchvision_images(name: str, data_dir: Path, train: bool, source: Path | None = None) -> NamedImages:
    """Load the training or test images of one of torchvision's data sets.

    Parameters
    ----------
    name
        Name of the data set in the configuration.
    data_dir
        The folder that holds its files.
    train
        Whether to load the training images, else the test images.
    source
        The original folder, for messages, if ``data_dir`` is a copy.

    Returns
    -------
    The images, with their classes' names.

    Raises
    ------
    InputError
        If a file is missing or invalid.
    """
    missing = missing_files(name, data_dir)
    if missing:
        raise InputError(
            f"{name} is not in {data_dir}: missing {', '.join(map(str, missing))}; {rebuild(data_dir)}"
        )
    shown, part = source or data_dir, "training" if train else "test"
    files = [file for file in BUILT_IN[name].files if Path(file).name in IDX_FILES[0 if train else 2 :][:2]]
    for file in files:
        _require_whole(name, data_dir / file, shown / file)
    try:
        _, *parts = CLASSES[name]
        images = torchvision_class(name)(data_dir, **parts[0 if train else 1])
    except UNREADABLE as error:
        raise InputError(
            f"{name} cannot be read from {shown}: {error or type(error).__name__}. A file is truncated "
            "or does not match its name; replace it"
        ) from error
    pixels = np.asarray(images.data)
    targets = np.asarray(images.targets if hasattr(images, "targets") else images.labels).astype(np.int64)
    if len(pixels) != len(targets):
        raise InputError(
            f"{name} in {shown} has {len(pixels)} images but {len(targets)} labels in the {part} files"
            f"{' ' if files else ''}{' and '.join(files)}; the files must be of one data set"
        )
    classes = BUILT_IN[name].classes or 0
    wrong = (targets < 0) | (targets >= classes)
    if wrong.any():
        place = int(wrong.argmax())
        where = shown / files[1] if files else f"{name} in {shown}, {part} files"
        raise InputError(
            f"{where}: the label of example {place} is {targets[place]}, expected 0 to {classes - 1}; "
            "replace the file"
        )
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.shape[-1] == 3:
        pixels = pixels.transpose(0, 3, 1, 2)
    return NamedImages(pixels, targets, tuple(getattr(images, "classes", ())))


def _require_whole(name: str, path: Path, shown: Path) -> None:
    """Reject files that are not IDX files of unsigned bytes, or whose length differs from their header's.

    The format is: two zero bytes, the type 8, the number of axes, their sizes, and the values.
    """
    with path.open("rb") as file:
        start = file.read(4)
        axes = start[3] if start[:3] == bytes([0, 0, 8]) and len(start) == 4 else 0
        sizes = [int.from_bytes(file.read(4), "big") for _ in range(axes)]
    found, expected = path.stat().st_size, 4 + 4 * axes + math.prod(sizes)
    if not axes or found != expected:
        what = f"has {found} bytes, expected {expected}" if axes else "does not begin as an IDX file does"
        raise InputError(
            f"{name} cannot be read from {shown}: the file {what}. It is truncated or does not match its "
            "name; replace it"
        )
