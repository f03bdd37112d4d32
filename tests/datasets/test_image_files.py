"""Images of one's own are decoded as they are, and what is wrong with them is named."""

import io
import json
import re
import struct
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

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
    flat[1::2] = 50
    config = ImageFiles(train=parquet(tmp_path / "train.parquet", flat), size=4, channels=1)
    train, _, _ = read_images(config)
    assert train.pixels.shape == (30, 1, 4, 4)
    assert (train.pixels[::2] == 100).all() and (train.pixels[1::2] == 50).all()
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
    assert dataset.classes == tuple(CLASSES)
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
        case "numbers":
            rows["img"] = range(len(rows))
        case "struct of paths":
            rows["img"] = [{"path": "1.png"}] * len(rows)
        case "wrong class":
            rows.loc[7, "label"] = "kat"
        case "all the same":
            rows["img"] = [rows["img"][0]] * len(rows)
    rows.to_parquet(path)
    content = bytearray(path.read_bytes())
    if kind == "cut short":
        path.write_bytes(content[: len(content) // 2])
    if kind == "garbled pages":  # its description, at the end, stays whole
        content[4:200] = bytes(196)
        path.write_bytes(content)
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
        ("cut short", r"not a readable parquet file \([^\n]*\); replace it$"),
        ("garbled pages", r"not a readable parquet file \([^\n]*\); replace it$"),
        ("numbers", "column 'img' holds int in row 0, expected encoded images"),
        ("struct of paths", "row 0 has no image"),
        ("wrong class", "class 'kat' has a single example, .*, row 7; it cannot be .*: correct the label"),
        ("all the same", "all 30 images, at a size of 6, are the same; correct the data"),
    ],
)
def test_what_is_wrong_with_a_parquet_file_is_named(tmp_path: Path, kind: str, message: str) -> None:
    path = damaged(tmp_path / "train.parquet", kind)
    with pytest.raises(InputError, match=re.escape(str(path)) + ".*" + message):
        read_images(ImageFiles(train=path, size=SIZE))


def test_a_class_that_only_the_test_set_has_is_an_input_error(tmp_path: Path) -> None:
    train, test = folder(tmp_path / "train", pixels()), folder(tmp_path / "test", pixels())
    (test / "cat").rename(test / "dog")
    message = r"test: classes dog do not occur in .*train, which has 2, 10, cat; the first is .*dog/002\.png"
    with pytest.raises(InputError, match=message):
        read_images(ImageFiles(train=train, test=test, size=SIZE))


def test_hidden_files_and_folders_are_no_images_and_no_classes(tmp_path: Path) -> None:
    train = folder(tmp_path / "train", pixels())
    (train / ".ipynb_checkpoints").mkdir()
    (train / ".ipynb_checkpoints/0.png").write_bytes(encoded(pixels()[0]))
    (train / "cat/._002.png").write_bytes(b"what a Mac leaves beside a file")
    config = ImageFiles(train=train, size=SIZE)
    images, _, classes = read_images(config)
    assert (len(images), classes) == (30, CLASSES)
    assert config.facts.examples == 31


def in_folders(path: Path, images: list[Image.Image], ending: str = "png") -> ImageFiles:
    """Write images, in turn of class a and of class b."""
    for i, image in enumerate(images):
        (path / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        image.save(path / "ab"[i % 2] / f"{i:02}.{ending}")
    return ImageFiles(train=path, size=8, channels=1)


def in_turn(config: ImageFiles) -> np.ndarray:
    """Return pixels (m, channels, size, size) in the order written."""
    found, _, _ = read_images(config)
    result = np.empty_like(found.pixels)
    for k in range(2):
        result[k::2] = found.pixels[found.targets == k]
    return result


@pytest.mark.parametrize("ending", ["png", "tiff", "pgm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_16_bits_keep_256_levels(tmp_path: Path, ending: str, channels: Literal[1, 3]) -> None:
    draws = np.random.default_rng(0)
    values = [draws.integers(300 + 30_000 * (i % 2), 30_000 + 35_535 * (i % 2), (8, 8)) for i in range(8)]
    values[0][0, :4] = 0, 256, 257, 65_535
    images = [Image.fromarray(one.astype(np.uint16)) for one in values]
    config = in_folders(tmp_path, images, ending).model_copy(update={"channels": channels})
    expected = np.repeat(np.stack(values)[:, None] // 257, channels, axis=1)
    np.testing.assert_array_equal(in_turn(config), expected)


def test_images_of_12_bits_span_from_black_to_white(tmp_path: Path) -> None:
    """TIFF packs two values of 12 bits into three bytes, which Pillow reads but does not write."""
    values = np.array([[0, 1000], [2000, 4095]])
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in values.tolist())
    tags = {256: 2, 257: 2, 258: 12, 259: 1, 262: 1, 273: 8 + 2 + 12 * 9 + 4, 277: 1, 278: 2, 279: 6}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    content = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + packed
    for name, grey in (("a/0.tif", 0), ("a/1.tif", 0), ("b/0.png", 9), ("b/1.png", 9)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if grey:
            Image.new("L", (2, 2), grey).save(tmp_path / name)
        else:
            (tmp_path / name).write_bytes(content)
    found, _, _ = read_images(ImageFiles(train=tmp_path, size=2, channels=1))
    np.testing.assert_array_equal(found.pixels[0, 0], values * 255 // 4095)


@pytest.mark.parametrize(("kind", "named"), [(np.int32, "integers"), (np.float32, "floating-point numbers")])
def test_images_of_32_bits_are_refused_by_name(tmp_path: Path, kind: type, named: str) -> None:
    images = [Image.fromarray(np.full((8, 8), i, kind)) for i in range(4)]
    config = in_folders(tmp_path, images, "tiff")
    with pytest.raises(
        InputError, match=rf"^{tmp_path}/a/00\.tiff: pixels are 32-bit {named}, whose .*: scale"
    ):
        read_images(config)


def halves(mode: str, colour: tuple[int, ...]) -> list[Image.Image]:
    """Return images of one colour, opaque in their left or in their upper half."""
    images = []
    for i in range(6):
        pixels = np.zeros((8, 8, len(mode)), np.uint8)
        pixels[..., :-1] = colour
        pixels[(slice(4), slice(None)) if i % 2 else (slice(None), slice(4))][..., -1] = 255
        images.append(Image.fromarray(pixels))
    return images


@pytest.mark.parametrize(
    ("mode", "colour", "shape", "background"),
    [
        ("LA", (0,), 0, 255),
        ("LA", (255,), 255, 0),
        ("RGBA", (0, 0, 255), 29, 255),
        ("RGBA", (255, 255, 0), 226, 0),
    ],
)
def test_a_shape_in_the_alpha_channel_is_put_on_a_background(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    mode: str,
    colour: tuple[int, ...],
    shape: int,
    background: int,
) -> None:
    found = in_turn(in_folders(tmp_path, halves(mode, colour)))
    for i, pixels in enumerate(found):
        expected = np.full((8, 8), background)
        expected[(slice(4), slice(None)) if i % 2 else (slice(None), slice(4))] = shape
        np.testing.assert_array_equal(pixels[0], expected)
    assert f"{tmp_path}: 6 of 6 images vary only in their alpha channel" in caplog.text


def test_a_palette_whose_entries_differ_in_alpha_alone_is_put_on_a_background(tmp_path: Path) -> None:
    images = []
    for i in range(4):
        image = Image.fromarray(np.eye(8, k=i, dtype=np.uint8)).convert("P")
        image.putpalette([0] * 6)
        image.info["transparency"] = bytes([0, 255])
        images.append(image)
    found = in_turn(in_folders(tmp_path, images))
    np.testing.assert_array_equal(found[:, 0], [255 - 255 * np.eye(8, k=i) for i in range(4)])


def test_the_alpha_channel_of_images_whose_colours_vary_is_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(6, 8, 8, 4), dtype=np.uint8)
    config = in_folders(tmp_path, [Image.fromarray(one) for one in pixels])
    config = config.model_copy(update={"channels": 3})
    np.testing.assert_array_equal(in_turn(config), pixels[..., :3].transpose(0, 3, 1, 2))
    assert "alpha" not in caplog.text


def test_a_wrong_label_of_a_file_is_named(tmp_path: Path) -> None:
    train = folder(tmp_path / "train", pixels())
    (train / "3").mkdir()
    (train / "2/003.png").rename(train / "3/003.png")
    with pytest.raises(InputError, match=r"class '3' has a single example, .*train/3/003\.png; it cannot be"):
        read_images(ImageFiles(train=train, size=SIZE))


def test_images_and_classes_are_two_columns(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="image and label name the same column, 'label'; name two"):
        ImageFiles(train=tmp_path, size=SIZE, image="label")


def test_a_folder_without_images_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no images; a folder holds a folder of image files"):
        read_images(ImageFiles(train=tmp_path, size=SIZE))


def test_images_that_cannot_be_read_may_be_left_out_and_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = pixels()
    path = folder(tmp_path / "images", images)
    broken = sorted(path.glob("*/*.png"))[3]
    broken.write_bytes(broken.read_bytes()[:-40])
    config = ImageFiles(train=path, size=8)
    with pytest.raises(InputError, match=f"{broken.name}: not a readable image .*unreadable: skip"):
        read_images(config)
    found = read_images(config.model_copy(update={"unreadable": "skip"}))[0]
    assert len(found.targets) == len(images) - 1
    (message,) = caplog.messages
    assert f"1 of {len(images)} images cannot be read and were left out: {broken}" in message


@pytest.mark.parametrize("bits", [8, 16])
def test_images_are_turned_as_their_orientation_says(tmp_path: Path, bits: int) -> None:
    levels = np.random.default_rng(0).integers(256, size=(2, 6, 6)).astype(np.uint8)
    for i, upright in enumerate(levels):
        (tmp_path / f"{i}").mkdir()
        for name in ("first", "second"):
            turned = np.rot90(upright)  # 6 of EXIF's orientations: to be turned clockwise by 90 degrees
            image = Image.fromarray(turned if bits == 8 else turned.astype(np.uint16) * 257)
            exif = Image.Exif()
            exif[274] = 6
            image.save(tmp_path / f"{i}/{name}.png", exif=exif)
    found = read_images(ImageFiles(train=tmp_path, size=6, channels=1))[0]
    for i, upright in enumerate(levels):
        np.testing.assert_array_equal(found.pixels[2 * i, 0], upright)
