"""Image sets in torchvision's own files."""

from pathlib import Path

import numpy as np

from dwf_steps.config.dataset import missing_files
from dwf_steps.datasets.torchvision_import import torchvision_datasets
from dwf_steps.errors import InputError

CLASSES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}


def idx_images(name: str, data_dir: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels in [0, 1] (m, 784) and classes (m,) of MNIST or Fashion-MNIST.

    Raises
    ------
    InputError
        If a file is missing, or does not hold what its header says.
    """
    missing = missing_files(name, data_dir)
    if missing:
        raise InputError(
            f"{name} is not in {data_dir}: missing {', '.join(map(str, missing))}. Delete "
            "that folder and run again: it is fetched anew"
        )
    try:
        images = getattr(torchvision_datasets(), CLASSES[name])(data_dir, train=train)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        raise InputError(
            f"{name} cannot be read from {data_dir}: {error or type(error).__name__}. A file was cut "
            "short or is not what its name says; replace it"
        ) from error
    n_images, n_labels = len(images.data), len(images.targets)
    if n_images != n_labels:
        raise InputError(
            f"{name} in {data_dir} has {n_images} images but {n_labels} labels in the "
            f"{'training' if train else 'test'} files; the four files must be of one data set"
        )
    inputs = images.data.numpy().reshape(n_images, -1).astype(np.float32) / 255
    return inputs, images.targets.numpy()
