"""User-provided images: folders of image files, or parquet files with encoded images."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from dwf_steps.config.dataset import ImageFiles
from dwf_steps.datasets.classes import in_order, listed, require_different, require_two_of_each
from dwf_steps.datasets.images import Images
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import Progress

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
BITS_PER_SAMPLE = 258  # TIFF 6.0, section 8
LUMINANCE = np.array([299, 587, 114])  # in thousandths; ITU-R BT.601, as in Pillow's conversion to grey

logger = logging.getLogger(__name__)


class UnreadableImageError(InputError):
    """An image cannot be decoded."""


def read_images(config: ImageFiles) -> tuple[Images, Images | None, list[str]]:
    """Decode training and test images.

    Parameters
    ----------
    config
        The files, the size and channels of the images, and the columns of parquet files.

    Returns
    -------
    The training images; the test images, None if there is no test set; and the names of the classes, in the
    order of the outputs.

    Raises
    ------
    InputError
        If a file is missing, is not an image or has no class; if a class has a single image; if the test set
        has another class; or if all images are equal.
    """
    train, names, first = _read(config, config.train)
    classes = in_order(names)
    if len(classes) < 2:
        raise InputError(f"{config.train}: found {len(classes)} class, expected at least 2")
    require_two_of_each(names, config.train, lambda i: first[names[i]])
    numbers = {name: i for i, name in enumerate(classes)}
    test = None
    if config.test is not None:
        pixels, test_names, test_first = _read(config, config.test)
        foreign = in_order(set(test_names) - numbers.keys())
        if foreign:
            raise InputError(
                f"{config.test}: classes {listed(foreign)} do not occur in {config.train}, which has "
                f"{listed(classes)}; the first is {test_first[foreign[0]]}"
            )
        test = Images(pixels, np.array([numbers[name] for name in test_names]))
    return Images(train, np.array([numbers[name] for name in names])), test, classes


def _read(config: ImageFiles, path: Path) -> tuple[np.ndarray, list[str], dict[str, str]]:
    """Return pixels, classes and locations.

    Returns
    -------
    Pixels (m, channels, size, size) uint8, the name of each image's class, and the location of the first
    image of each class.
    """
    images: list[np.ndarray] = []
    names: list[str] = []
    first: dict[str, str] = {}
    shapes_in_alpha = 0
    skipped: list[str] = []
    with Progress("image", None) as report:
        for where, source, name in _folder(path) if path.is_dir() else _parquet(config, path):
            try:
                decoded, in_alpha = _decoded(config, where, source)
            except UnreadableImageError:
                if config.unreadable == "refuse":
                    raise
                skipped.append(where)
                continue
            images.append(decoded)
            names.append(name)
            first.setdefault(name, where)
            shapes_in_alpha += in_alpha
            report.advance()
    if skipped:
        count = len(skipped) + len(images)
        logger.warning(
            "%s: %d of %d images cannot be read and were left out: %s",
            path,
            len(skipped),
            count,
            listed(skipped),
        )
    if not images:
        raise InputError(f"{path}: found no images; a folder holds a folder of image files for each class")
    if shapes_in_alpha:
        logger.warning(
            "%s: %d of %d images vary only in their alpha channel; dark ones were put on white, light ones "
            "on black",
            path,
            shapes_in_alpha,
            len(images),
        )
    pixels = np.stack(images)
    require_different(pixels, path, f"images, at a size of {config.size},")
    return pixels, names, first


def _folder(path: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield image files; hidden files and folders are skipped."""
    for folder in sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
                yield str(file), file, folder.name


def _parquet(config: ImageFiles, path: Path) -> Iterator[tuple[str, io.BytesIO, str]]:
    for row, (image, label) in enumerate(_rows(config, path)):
        content = image.get("bytes") if isinstance(image, dict) else image
        if content is None or label is None:
            raise InputError(f"{path}: row {row} has no {'image' if content is None else 'class'}")
        if not isinstance(content, bytes):
            raise InputError(
                f"{path}: column {config.image!r} holds {type(content).__name__} in row {row}, expected "
                "encoded images (bytes, or a struct with `bytes`); name the column of images with `image`"
            )
        yield f"{path}, row {row}", io.BytesIO(content), str(label)


def _rows(config: ImageFiles, path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield the values of the image and class columns, row by row."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    wanted = [config.image, config.label]
    try:
        file = ParquetFile(path)
        columns = file.schema_arrow.names
        for column in wanted:
            if column not in columns:
                raise InputError(f"{path}: no column {column!r}; its columns are {', '.join(columns)}")
        for batch in file.iter_batches(batch_size=1000, columns=wanted):
            yield from zip(*(batch[column].to_pylist() for column in wanted), strict=True)
    except InputError:
        raise
    except (ArrowException, OSError, ValueError) as error:
        what = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable parquet file ({what}); replace it") from error


def _decoded(config: ImageFiles, where: str, source: Path | io.BytesIO) -> tuple[np.ndarray, bool]:
    """Return pixels (channels, size, size) uint8, and whether the alpha channel held the image's shape.

    Images are rotated according to EXIF's orientation.
    """
    channels, height, width = config.shape
    try:
        with Image.open(source) as image:
            pixels, in_alpha = _on_a_background(ImageOps.exif_transpose(_eight_bits(where, image)))
            pixels = pixels.convert("RGB" if channels == 3 else "L")
            if pixels.size != (width, height):
                pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(pixels).reshape(height, width, channels).transpose(2, 0, 1), in_alpha
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(
            f"{where}: not a readable image ({error}); replace or remove it, or state `unreadable: skip`"
        ) from error


def _eight_bits(where: str, image: Image.Image) -> Image.Image:
    """Convert an image to 8 bits per channel.

    Grey images of 16 or 12 bits are mapped to floor(255 v / (2^bits - 1)), which for 16 bits is floor(v /
    257); Pillow's own conversion clips them at 255. Pillow has already reduced colours of 16 bits to their
    upper byte.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in {"PNG", "PPM"}):
        bits = dict(getattr(image, "tag_v2", {})).get(BITS_PER_SAMPLE, (16,))[0]
        levels = np.asarray(ImageOps.exif_transpose(image)).astype(np.int64) * 255 // (2**bits - 1)
        return Image.fromarray(levels.astype(np.uint8))
    if image.mode in {"I", "F"}:
        kind = "32-bit integers" if image.mode == "I" else "32-bit floating-point numbers"
        raise InputError(
            f"{where}: pixels are {kind}, whose black and white are not known; expected 8 or 16 bits per "
            "channel: scale and convert it"
        )
    return image


def _on_a_background(image: Image.Image) -> tuple[Image.Image, bool]:
    """Draw images whose shape is only in the alpha channel on a background.

    If all pixels have one colour, the background is white, or black for light colours. Of other images the
    alpha channel is dropped when they are converted, as in torchvision.

    Returns
    -------
    The image, and whether it was drawn on a background.
    """
    if not image.has_transparency_data:
        return image, False
    with_alpha = image.convert("RGBA")
    pixels = np.asarray(with_alpha)
    colours, alpha = pixels[..., :3], pixels[..., 3]
    if (colours != colours[0, 0]).any() or (alpha == alpha[0, 0]).all():
        return image, False
    grey = 0 if colours[0, 0] @ LUMINANCE > 127 * LUMINANCE.sum() else 255
    background = Image.new("RGBA", image.size, (grey, grey, grey, 255))
    return Image.alpha_composite(background, with_alpha), True
