"""Small data sets in the files that torchvision reads MNIST from."""

from pathlib import Path

import numpy as np

from dwf_steps.config.dataset import IDX_FILES


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_images(data_dir: Path, folder: str = "MNIST") -> tuple[np.ndarray, np.ndarray]:
    """Write 200 training and 50 test images of noise, and return all images and labels."""
    raw = data_dir / folder / "raw"
    raw.mkdir(parents=True)
    draws = np.random.default_rng(0)
    images, labels = draws.integers(256, size=(250, 28, 28)), np.arange(250) % 10
    for name, array in zip(IDX_FILES, (images[:200], labels[:200], images[200:], labels[200:]), strict=True):
        write_idx(raw / name, array)
    return images, labels
