"""The data stage in the real workflow: data sets that are fetched, and tables of one's own."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import OFFLINE, Checkout, executed, one_cell
from idx_files import write_images
from PIL import Image
from sklearn.datasets import load_iris

READS_DATA = {"train_zoo", "canonicalize", "score_zoo", "score", "evaluate"}


@contextmanager
def changed(path: Path, content: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(content)
    try:
        yield
    finally:
        path.write_text(before)


@pytest.fixture(scope="module")
def on_images(new_checkout: Callable[[], Checkout]) -> Checkout:
    """Return a checkout with a zoo, aligned, on images that lay in `data_dir`."""
    checkout = new_checkout()
    write_images(checkout.folder / "mine")
    result = one_cell(checkout, "mnist", [784, 4, 10], data_dir="mine")
    result.snakemake("aligned")
    return result


def test_where_the_data_lay_does_not_matter_afterwards(on_images: Checkout) -> None:
    moved = Checkout(on_images.folder, on_images.config | {"data_dir": "elsewhere"}, OFFLINE)
    moved.write_config()
    try:
        assert moved.pending("aligned") == set()
        assert moved.pending("datasets") == set()
    finally:
        on_images.write_config()


def test_data_that_are_fetched_again_retrain_nothing(on_images: Checkout) -> None:
    shutil.rmtree(on_images.folder / "results/data/mnist")
    assert on_images.pending("aligned") == set()
    assert on_images.pending("datasets") == {"fetch_data"}
    on_images.snakemake("datasets")
    assert on_images.pending("aligned") == set()
    assert on_images.pending("all").isdisjoint({"fetch_data", "train_zoo", "canonicalize"})


def test_without_data_and_internet_the_run_says_what_to_copy(new_checkout: Callable[[], Checkout]) -> None:
    checkout = one_cell(new_checkout(), "fashion_mnist", [784, 4, 10], data_dir="mine")
    output = checkout.snakemake("zoos", check=False)
    assert "error: fashion_mnist is not on this machine and cannot be downloaded" in output
    assert "mine/FashionMNIST/raw/t10k-labels-idx1-ubyte" in output
    assert "--config data_dir=" in output
    assert "Traceback" not in output
    assert not (checkout.folder / "results/data/fashion_mnist").exists()


def test_changed_images_are_decoded_and_trained_on_again(new_checkout: Callable[[], Checkout]) -> None:
    checkout = new_checkout()
    folder = checkout.folder / "shapes"
    draws = np.random.default_rng(0)
    for i in range(60):
        (folder / f"kind-{i % 3}").mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(draws.integers(256, size=(3, 3, 3), dtype=np.uint8))
        image.save(folder / f"kind-{i % 3}" / f"{i}.png")
    images = {"shapes": {"train": "shapes", "size": 2}}
    checkout = one_cell(checkout, "shapes", [12, 4, 3], datasets=images)
    checkout.snakemake("tables")
    assert checkout.pending("tables") == set()
    images["shapes"]["size"] = 4
    checkout = one_cell(checkout, "shapes", [48, 4, 3], datasets=images)
    again = checkout.pending("tables")
    assert again >= READS_DATA | {"prepare_images"}


def test_a_changed_table_reruns_the_stages_that_read_it(new_checkout: Callable[[], Checkout]) -> None:
    checkout = new_checkout()
    frame: pd.DataFrame = load_iris(as_frame=True).frame
    table = checkout.folder / "flowers.csv"
    frame.to_csv(table, index=False)
    checkout = one_cell(checkout, {"file": "flowers.csv", "target": "target"}, [4, 4, 3])
    checkout.snakemake("tables")
    assert checkout.pending("tables") == set()
    with changed(table, frame.iloc[1:].to_csv(index=False)):
        output = checkout.snakemake("--dry-run", "tables")
    assert executed(output).keys() >= READS_DATA
    assert set(re.findall(r"rule (\w+):\n    input: .*flowers\.csv", output)) == {"divide_data"}
    assert re.findall(r"reason: Updated input files: (.*)", output) == ["flowers.csv"]
    assert checkout.pending("tables") == set(), "the same content again, only newer, reruns nothing"
