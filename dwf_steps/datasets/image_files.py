"""Image sets of one's own: folders of image files, parquet files with encoded images."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from dwf_steps.config.dataset import ImageFiles
from dwf_steps.datasets.images import Images
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import Progress

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}


def read_images(config: ImageFiles) -> tuple[Images, Images | None, list[str]]:
    """Decode training and test images; return them with the names of their classes, in their order.

    Raises
    ------
    InputError
        If a file is missing, is no image, or has no class, or the test set has a class of its own.
    """
    train, names = _read(config, config.train)
    classes = sorted(set(names), key=_order)
    if len(classes) < 2:
        raise InputError(f"{config.train}: found {len(classes)} class, expected at least 2")
    numbers = {name: i for i, name in enumerate(classes)}
    test = None
    if config.test is not None:
        pixels, test_names = _read(config, config.test)
        foreign = sorted(set(test_names) - numbers.keys(), key=_order)
        if foreign:
            raise InputError(
                f"{config.test}: classes {', '.join(foreign)} do not occur in {config.train}, which has "
                f"{', '.join(classes)}"
            )
        test = Images(pixels, np.array([numbers[name] for name in test_names]))
    return Images(train, np.array([numbers[name] for name in names])), test, classes


def _order(name: str) -> tuple[int, str]:
    """Order numbers as numbers, other names after them."""
    return (int(name), "") if name.isdecimal() else (2**63, name)


def _read(config: ImageFiles, path: Path) -> tuple[np.ndarray, list[str]]:
    """Return pixels (m, channels, size, size) uint8, and each image's class by name."""
    images, names = [], []
    with Progress("image", None) as report:
        for where, source, name in _folder(path) if path.is_dir() else _parquet(config, path):
            images.append(_decoded(config, where, source))
            names.append(name)
            report.advance()
    if not images:
        raise InputError(f"{path}: found no images; a folder holds a folder of image files for each class")
    return np.stack(images), names


def _folder(path: Path) -> Iterator[tuple[str, Path, str]]:
    for folder in sorted(p for p in path.iterdir() if p.is_dir()):
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in SUFFIXES:
                yield str(file), file, folder.name


def _parquet(config: ImageFiles, path: Path) -> Iterator[tuple[str, io.BytesIO, str]]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file ({error}); replace it") from error
    columns = file.schema_arrow.names
    for column in (config.image, config.label):
        if column not in columns:
            raise InputError(f"{path}: no column {column!r}; its columns are {', '.join(columns)}")
    row = 0
    for batch in file.iter_batches(batch_size=1000, columns=[config.image, config.label]):
        for image, label in zip(*(batch[c].to_pylist() for c in (config.image, config.label)), strict=True):
            content = image["bytes"] if isinstance(image, dict) else image
            if content is None or label is None:
                raise InputError(f"{path}: row {row} has no {'image' if content is None else 'class'}")
            yield f"{path}, row {row}", io.BytesIO(content), str(label)
            row += 1


def _decoded(config: ImageFiles, where: str, source: Path | io.BytesIO) -> np.ndarray:
    channels, height, width = config.shape
    try:
        with Image.open(source) as image:
            pixels = image.convert("RGB" if channels == 3 else "L")
            if pixels.size != (width, height):
                pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(pixels).reshape(height, width, channels).transpose(2, 0, 1)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{where}: not a readable image ({error}); replace or remove it") from error
