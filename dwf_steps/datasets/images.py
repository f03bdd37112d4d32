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
        If a file is missing; says which, and where to put it.
    """
    missing = missing_files(name, data_dir)  # type: ignore[arg-type]
    if missing:
        raise InputError(
            f"{name} is not in {data_dir}: missing {', '.join(map(str, missing))}. Put the files there, or "
            f"run `python -m dwf_steps.fetch_data {name} --data-dir {data_dir}`"
        )
    images = getattr(torchvision_datasets(), CLASSES[name])(data_dir, train=train)
    inputs = images.data.numpy().reshape(len(images.data), -1).astype(np.float32) / 255
    return inputs, images.targets.numpy()
