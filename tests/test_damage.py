"""Damaged files are named and rebuilt by their own stage; a full disk leaves nothing behind."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from checkout import Checkout, executed

CELL = "results/micro/git_rebasin"

# What is damaged -> the stage that reads it, what that stage writes, and the stage that rebuilds it. Last
# stages first: a stage that fails loses what it wrote before.
DAMAGE = {
    "results/tables/ensembles.csv": ("plot", "results/figures/ensembles.pdf", "tabulate"),
    "results/tables/experiment.json": ("plot", "results/figures/ensembles.pdf", "tabulate"),
    f"{CELL}/weights/pca_4/flow/none/sets.csv": ("tabulate", "results/tables/sets.csv", "evaluate"),
    f"{CELL}/alignment.csv": ("tabulate", "results/tables/alignment.csv", "gather_alignment"),
    f"{CELL}/weights/pca_4/flow/networks/shard-0/sample-3.safetensors": (
        *("score", f"{CELL}/weights/pca_4/flow/none/outputs/shard-0.npz", "decode"),
    ),
    f"{CELL}/zoo_metrics/none/metrics.csv": (
        *("evaluate", f"{CELL}/weights/pca_4/flow/none/metrics.csv", "evaluate_zoo"),
    ),
    "results/micro/outputs/shard-1.npz": (
        *("evaluate_zoo", f"{CELL}/zoo_metrics/none/metrics.csv", "score_zoo"),
    ),
    f"{CELL}/weights/pca_4/flow/model.safetensors": (
        "sample_generator",
        f"{CELL}/weights/pca_4/flow/latents.npz",
        "fit_generator",
    ),
    f"{CELL}/weights/pca_4/flow/training.csv": ("plot", "results/figures/flow_loss.pdf", "fit_generator"),
    f"{CELL}/responses/encoded/part-1.npy": ("stack_responses", f"{CELL}/responses.zarr", "encode_responses"),
    f"{CELL}/weights/gram/part-0.npz": ("solve_basis", f"{CELL}/weights/pca_4/basis.npz", "accumulate_gram"),
    f"{CELL}/weights.zarr/c/0/0": ("accumulate_gram", f"{CELL}/weights/gram/part-1.npz", "stack_weights"),
    f"{CELL}/aligned/shard-0.csv": ("gather_alignment", f"{CELL}/alignment.csv", "canonicalize"),
    f"{CELL}/aligned/shard-1/seed-7.safetensors": (
        *("stack_weights", f"{CELL}/weights.zarr", "canonicalize"),
    ),
    f"{CELL}/reference/seed-0.safetensors": (
        *("canonicalize", f"{CELL}/aligned/shard-1.json", "choose_reference"),
    ),
    "results/micro/zoo/shard-0/seed-2.safetensors": (
        *("canonicalize", f"{CELL}/aligned/shard-0.json", "train_zoo"),
    ),
}


@pytest.fixture
def copy(finished: Checkout, tmp_path: Path) -> Checkout:
    """Return a copy of the finished checkout that may be spoilt."""
    shutil.copytree(finished.folder, tmp_path / "checkout")
    return replace(finished, folder=tmp_path / "checkout")


def flip_a_bit(path: Path) -> None:
    content, times = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_flipped_bit_anywhere_is_named_and_repaired_by_rerunning_the_stage_that_wrote_the_file(
    finished: Checkout, copy: Checkout
) -> None:
    for path, (reader, reads_into, writer) in DAMAGE.items():
        flip_a_bit(copy.folder / path)
        output = copy.snakemake(reads_into, "--forcerun", reader, check=False)
        message = re.search(
            r"error: (\S+): .*?delete (\S+), then `snakemake (\S+)` rebuilds it", output, re.S
        )
        assert message is not None, output[-3000:]
        assert path.startswith(message[1]), "the damaged file, or the matrix it belongs to, is named"
        remedy = copy.folder / message[2]
        shutil.rmtree(remedy) if remedy.is_dir() else remedy.unlink()
        assert executed(copy.snakemake(message[3])) == {writer: 1}
        assert (copy.folder / path).read_bytes() == (finished.folder / path).read_bytes()
    copy.snakemake("all")
    assert copy.tables() == finished.tables()


@pytest.fixture
def small_disk(copy: Checkout) -> Iterator[Path]:
    """Put the files of one canonicalization on a disk of four MiB."""
    folder, kept = copy.folder / CELL, copy.folder / "kept"
    folder.rename(kept)
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> Path:
    """Fill the disk to the last byte with one file and return it."""
    ballast = disk / "ballast"
    with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**12))
    return ballast


def test_a_disk_that_fills_up_is_named_and_the_run_goes_on_once_there_is_room(
    finished: Checkout, copy: Checkout, small_disk: Path
) -> None:
    shutil.rmtree(small_disk / "weights.zarr")
    ballast = fill(small_disk)
    output = copy.snakemake("all", "--forcerun", f"{CELL}/weights.zarr", check=False)
    assert re.search(r"error: \S+weights\.zarr: the disk is full \(0 of 4 MiB", output), output[-3000:]
    assert not list(copy.folder.rglob("*.partial-*"))
    assert not (small_disk / "weights.zarr").exists()
    ballast.unlink()
    copy.snakemake("all", "--forcerun", f"{CELL}/weights.zarr")
    assert copy.results("micro/*/weights.zarr/**/*") == finished.results("micro/*/weights.zarr/**/*")
    assert copy.tables() == finished.tables()
