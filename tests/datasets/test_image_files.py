"""Images of one's own are decoded as they are, and what is wrong with them is named."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dwf_steps.config.dataset import ImageFiles, SplitsConfig
from dwf_steps.datasets.image_files import read_images
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.prepare_images import PrepareImages, prepare_images
from dwf_steps.runtime.errors import InputError

SIZE, CLASSES = 6, ["2", "10", "cat"]  # numbers come first, as numbers


def pixels(m: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(m, SIZE, SIZE, 3), dtype=np.uint8)


def encoded(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def parquet(path: Path, images: np.ndarray, struct: bool = True) -> Path:
    content = [encoded(image) for image in images]
    rows = {"img": [{"bytes": c, "path": None} for c in content] if struct else content}
    pd.DataFrame(rows | {"label": [CLASSES[i % 3] for i in range(len(images))]}).to_parquet(path)
    return path


def folder(path: Path, images: np.ndarray) -> Path:
    for i, image in enumerate(images):
        (path / CLASSES[i % 3]).mkdir(parents=True, exist_ok=True)
        (path / CLASSES[i % 3] / f"{i:03}.png").write_bytes(encoded(image))
    (path / "2" / "notes.txt").write_text("no image")
    return path


@pytest.mark.parametrize("struct", [True, False])
def test_a_parquet_file_is_read_row_by_row(tmp_path: Path, struct: bool) -> None:
    images = pixels()
    config = ImageFiles(train=parquet(tmp_path / "train.parquet", images, struct), size=SIZE)
    train, test, classes = read_images(config)
    assert (test, classes) == (None, CLASSES)
    np.testing.assert_array_equal(train.pixels, images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(train.targets, np.arange(30) % 3)


def test_a_folder_has_a_folder_for_each_class(tmp_path: Path) -> None:
    images = pixels()
    config = ImageFiles(train=folder(tmp_path / "train", images), size=SIZE)
    train, _, classes = read_images(config)
    assert classes == CLASSES
    for k in range(3):
        found = train.pixels[train.targets == k]
        np.testing.assert_array_equal(found, images[k::3].transpose(0, 3, 1, 2))
    assert config.facts.examples == 31  # an estimate: whatever lies there


def test_images_are_scaled_and_made_grey_on_request(tmp_path: Path) -> None:
    flat = np.full((30, 12, 9, 3), 100, np.uint8)
    config = ImageFiles(train=parquet(tmp_path / "train.parquet", flat), size=4, channels=1)
    train, _, _ = read_images(config)
    assert train.pixels.shape == (30, 1, 4, 4)
    assert (train.pixels == 100).all()
    assert config.facts.features == 16


def test_decoded_images_are_divided_and_standardised_by_channel(tmp_path: Path) -> None:
    images = pixels(60)
    config = ImageFiles(
        train=parquet(tmp_path / "train.parquet", images[:48]),
        test=folder(tmp_path / "test", images[48:]),
        size=SIZE,
    )
    prepare_images(PrepareImages(images=config), tmp_path / "data")
    assert json.loads((tmp_path / "data/classes.json").read_text()) == CLASSES
    dataset = load_dataset(config, SplitsConfig(), tmp_path / "data")
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [43, 5, 12]
    np.testing.assert_allclose(dataset.train.inputs.reshape(43, 3, -1).mean(axis=(0, 2)), 0, atol=1e-5)
    in_folders = np.concatenate([images[48:][k::3] for k in (1, 0, 2)]).transpose(0, 3, 1, 2) / 255
    found = dataset.test.inputs * dataset.std + dataset.mean
    np.testing.assert_allclose(found, in_folders.reshape(12, -1), atol=1e-5)


def test_without_a_test_set_a_share_is_held_back(tmp_path: Path) -> None:
    config = ImageFiles(train=parquet(tmp_path / "train.parquet", pixels(60)), size=SIZE)
    prepare_images(PrepareImages(images=config), tmp_path / "data")
    dataset = load_dataset(config, SplitsConfig(), tmp_path / "data")
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [43, 5, 12]


def damaged(path: Path, kind: str) -> Path:
    rows = pd.read_parquet(parquet(path, pixels()))
    match kind:
        case "no such column":
            rows = rows.rename(columns={"img": "image"})
        case "no class":
            rows["label"] = rows["label"].where(rows.index != 3)
        case "no image":
            rows["img"] = rows["img"].where(rows.index != 3)
        case "not an image":
            other = {"bytes": b"GIF89a and nothing else", "path": None}
            rows["img"] = [other if i == 3 else image for i, image in enumerate(rows["img"])]
        case "one class":
            rows["label"] = "cat"
    rows.to_parquet(path)
    if kind == "no parquet":
        path.write_bytes(b"label,img")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no such column", "no column 'img'; its columns are image, label"),
        ("no class", "row 3 has no class"),
        ("no image", "row 3 has no image"),
        ("not an image", "row 3: not a readable image .*; replace or remove it"),
        ("one class", "found 1 class, expected at least 2"),
        ("no parquet", "not a readable parquet file"),
    ],
)
def test_what_is_wrong_with_a_parquet_file_is_named(tmp_path: Path, kind: str, message: str) -> None:
    path = damaged(tmp_path / "train.parquet", kind)
    with pytest.raises(InputError, match=re.escape(str(path)) + ".*" + message):
        read_images(ImageFiles(train=path, size=SIZE))


def test_a_class_that_only_the_test_set_has_is_an_input_error(tmp_path: Path) -> None:
    train, test = folder(tmp_path / "train", pixels()), folder(tmp_path / "test", pixels())
    (test / "cat").rename(test / "dog")
    with pytest.raises(InputError, match=r"test: classes dog do not occur in .*train, which has 2, 10, cat"):
        read_images(ImageFiles(train=train, test=test, size=SIZE))


def test_a_folder_without_images_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no images; a folder holds a folder of image files"):
        read_images(ImageFiles(train=tmp_path, size=SIZE))
