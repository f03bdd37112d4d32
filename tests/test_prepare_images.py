"""Image files become arrays: every pixel as it was, classes by name."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dwf_steps.datasets.images import Images
from dwf_steps.prepare_images import PrepareImages, prepare_images
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_record

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), np.uint8)
CLASSES = ["2", "10", "cat"]  # numbers by value, then other names


def write_images(folder: Path, pixels: np.ndarray, classes: list[str]) -> Path:
    for i, image in enumerate(pixels):
        place = folder / classes[i % len(classes)] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)
    return folder


def prepared(folder: Path, **images: object) -> Path:
    output = folder / "prepared"
    settings = {"images": {"train": folder / "train", "size": 4} | images}
    prepare_images(PrepareImages.model_validate(settings), output)
    return output


def test_pixels_are_kept_channel_by_channel(tmp_path: Path) -> None:
    write_images(tmp_path / "train", PIXELS, CLASSES)
    write_images(tmp_path / "test", PIXELS[::-1], CLASSES[::-1])
    output = prepared(tmp_path, test=tmp_path / "test")
    assert json.loads((output / "classes.json").read_text(encoding="utf-8")) == CLASSES
    for name, pixels, targets in (("train", PIXELS, [0, 1, 2] * 2), ("test", PIXELS[::-1], [2, 1, 0] * 2)):
        found = load_record(output / f"{name}.npz", Images)
        expected = {pixel.transpose(2, 0, 1).tobytes(): t for pixel, t in zip(pixels, targets, strict=True)}
        assert {image.tobytes(): t for image, t in zip(found.pixels, found.targets, strict=True)} == expected


def test_grey_images_are_luminance(tmp_path: Path) -> None:
    write_images(tmp_path / "train", PIXELS, ["a", "b"])
    found = load_record(prepared(tmp_path, channels=1) / "train.npz", Images)
    grey = np.array([PIXELS[i] @ np.array([0.299, 0.587, 0.114]) for i in (0, 2, 4, 1, 3, 5)])
    np.testing.assert_allclose(found.pixels[:, 0], grey, atol=1)
    assert not (tmp_path / "prepared/test.npz").exists()


def test_a_single_class_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    write_images(tmp_path / "train", PIXELS, ["cat"])
    with pytest.raises(InputError, match="found 1 class, expected at least 2"):
        prepared(tmp_path)
    assert not (tmp_path / "prepared").exists()


def test_classes_of_the_test_set_alone_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "train", PIXELS, ["cat", "dog"])
    write_images(tmp_path / "test", PIXELS, ["cat", "cow"])
    with pytest.raises(InputError, match=r"classes cow do not occur in .*train, which has cat, dog"):
        prepared(tmp_path, test=tmp_path / "test")
