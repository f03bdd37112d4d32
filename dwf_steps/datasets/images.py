"""Image sets in torchvision's own files."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dwf_steps.config.dataset import missing_files
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.libraries import torchvision_datasets
from dwf_steps.storage.remedy import rebuild

# Data set -> torchvision's class, and what asks it for the training and the test images.
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
    """``pixels`` (m, channels, height, width) uint8 and ``targets`` (m,) int64."""

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


def torchvision_class(name: str) -> Any:
    """Return torchvision's class of a data set."""
    return getattr(torchvision_datasets(), CLASSES[name][0])


def torchvision_images(name: str, data_dir: Path, train: bool) -> Images:
    """Return the training or test images of a data set that torchvision knows.

    Raises
    ------
    InputError
        If a file is missing, or does not hold what it should.
    """
    missing = missing_files(name, data_dir)
    if missing:
        raise InputError(
            f"{name} is not in {data_dir}: missing {', '.join(map(str, missing))}; {rebuild(data_dir)}"
        )
    try:
        _, *parts = CLASSES[name]
        images = torchvision_class(name)(data_dir, **parts[0 if train else 1])
    except UNREADABLE as error:
        raise InputError(
            f"{name} cannot be read from {data_dir}: {error or type(error).__name__}. A file was cut "
            "short or is not what its name says; replace it"
        ) from error
    pixels = np.asarray(images.data)
    targets = np.asarray(images.targets if hasattr(images, "targets") else images.labels).astype(np.int64)
    if len(pixels) != len(targets):
        raise InputError(
            f"{name} in {data_dir} has {len(pixels)} images but {len(targets)} labels in the "
            f"{'training' if train else 'test'} files; the files must be of one data set"
        )
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.shape[-1] == 3:
        pixels = pixels.transpose(0, 3, 1, 2)
    return Images(pixels, targets)
