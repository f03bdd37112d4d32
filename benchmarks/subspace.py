"""PCA of many large networks: one streamed pass over the matrix, against scikit-learn's IncrementalPCA.

Synthetic rows of the true shapes, on disk. The floor is reading the files once plus 2 n^2 d operations at
this machine's measured rate of float32 matrix products.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import passive_threads  # noqa: F401
from scipy.optimize import nnls

from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Precision, Row, WeightMatrix
from dwf_steps.storage.precision import convert
from dwf_steps.subspace.dual_pca import dual_pca
from dwf_steps.subspace.gram import accumulate

RESNET18, BERT = 11_181_642, 118_000_000
INCREMENTAL_UP_TO = 400_000_000  # weights in all; scikit-learn takes five times the matrix
GRID_NETWORKS, GRID_WEIGHTS = (32, 100, 300), (500_000, 2_000_000, 8_000_000)
TARGET_NETWORKS, TARGET_WEIGHTS = 1000, 10**9
JOB_HOURS = 1.0


@contextmanager
def matrix_on_disk(folder: Path | None, n: int, d: int, dtype: Precision) -> Iterator[Path]:
    """Write a synthetic matrix into a folder of its own, for the time of a ``with`` block."""
    rows, draws = [Row(f"seed-{i}") for i in range(n)], np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "weights.zarr"
        matrix = WeightMatrix.create(path, Layout.of({"weight": (d,)}), rows, {}, dtype)
        for columns in matrix.write_blocks():
            block = draws.standard_normal((n, columns.stop - columns.start), np.float32)
            matrix.array[:, columns] = convert(block, np.empty(block.shape, dtype))
        yield path


def ours(path: Path) -> None:
    gram = accumulate(WeightMatrix.open(path), threads=len(os.sched_getaffinity(0)))
    dual_pca(gram.products, gram.n_training, gram.n_training - 1, rounding=gram.rounding)


def reading(path: Path) -> None:
    """Read every file of the matrix once."""
    buffer = bytearray(2**24)
    for file in path.rglob("*"):
        if file.is_file():
            with file.open("rb", buffering=0) as stream:
                while stream.readinto(buffer):
                    pass


def incremental(path: Path) -> None:
    from sklearn.decomposition import IncrementalPCA

    matrix = WeightMatrix.open(path)
    IncrementalPCA(matrix.n_training - 1).fit(matrix.read())


SIDES = {"ours": ours, "reading": reading, "incremental": incremental}


@dataclass(frozen=True)
class Measured:
    """Median seconds, and peak memory in GB, of a side that ran in processes of its own."""

    seconds: float
    memory: float


def measure(side: str, path: Path, repeats: int) -> Measured:
    command = [sys.executable, __file__, "--side", side, "--path", str(path)]
    runs = []
    for _ in range(repeats):
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return Measured(float(np.median([run[0] for run in runs])), max(run[1] for run in runs))


def one_side(side: str, path: Path) -> None:
    started = time.perf_counter()
    SIDES[side](path)
    seconds = time.perf_counter() - started
    # Of this program alone: what getrusage says begins with the size of the process that started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    print(json.dumps([seconds, int(peak.split()[1]) * 1024 / 1e9]))


def product_rate() -> float:
    """Return this machine's operations a second in large float32 matrix products."""
    a, b = np.random.default_rng(0).standard_normal((2, 3000, 3000)).astype(np.float32)
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * 3000**3 / float(np.median(seconds))


def compare(folder: Path | None, n: int, d: int, dtype: Precision, repeats: int) -> None:
    """Print one matrix' figures beside the floor, and scikit-learn's where it fits."""
    rate = product_rate()
    with matrix_on_disk(folder, n, d, dtype) as path:
        read = measure("reading", path, repeats).seconds
        own = measure("ours", path, repeats)
        floor = read + 2 * n * n * d / rate
        gigabytes = n * d * np.dtype(dtype).itemsize / 1e9
        line = (
            f"n = {n}, d = {d:,}, {dtype} ({gigabytes:.2f} GB): {own.seconds:.2f} s, {own.memory:.2f} GB, "
            f"{own.seconds / gigabytes:.2f} s a GB; reading {read:.2f} s, products at {rate / 1e9:.0f} "
            f"GFLOP/s, floor {floor:.2f} s, ratio {own.seconds / floor:.2f}"
        )
        if n * d <= INCREMENTAL_UP_TO:
            theirs = measure("incremental", path, 1)
            line += (
                f"; IncrementalPCA {theirs.seconds:.1f} s, {theirs.memory:.1f} GB, "
                f"{theirs.seconds / own.seconds:.0f} times ours"
            )
    print(line, flush=True)


def extrapolate(folder: Path | None, repeats: int) -> None:
    """Measure a grid of n and d in float16, fit seconds = a + b n d + c n^2 d, and say what that makes of a
    matrix that fits no memory."""
    points = [(n, d) for n in GRID_NETWORKS for d in GRID_WEIGHTS]
    seconds, memory = [], []
    for n, d in points:
        with matrix_on_disk(folder, n, d, "float16") as path:
            own = measure("ours", path, repeats)
        seconds.append(own.seconds)
        memory.append(own.memory)
        print(f"n = {n:>3}, d = {d:>9,}, float16: {own.seconds:6.2f} s, {own.memory:.2f} GB", flush=True)
    n, d = np.array(points, float).T
    # Relative errors are what counts: points from tenths of a second to many seconds.
    terms = np.stack([np.ones_like(n), n * d, n * n * d], axis=1) / np.array(seconds)[:, None]
    (start, each_weight, each_product), _ = nnls(terms, np.ones(len(points)))
    target = TARGET_NETWORKS * TARGET_WEIGHTS
    total = start + each_weight * target + each_product * TARGET_NETWORKS * target
    jobs = -(-total // (3600 * JOB_HOURS))
    print(
        f"fitted: {start:.2f} s + {each_weight * 1e9:.2f} ns a weight + {each_product * 1e12:.1f} ps a "
        "product\n"
        f"n = {TARGET_NETWORKS:,}, d = {TARGET_WEIGHTS:,}, float16: {2 * target / 1e12:.1f} TB of disk, "
        f"{total / 3600:.1f} hours of {len(os.sched_getaffinity(0))} cores, {jobs:.0f} jobs of "
        f"{JOB_HOURS:.0f} hour, {max(memory):.2f} GB each"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to put the matrices (default: a temporary folder)")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        one_side(args.side, args.path)
        return
    cases: list[tuple[int, int, Precision]] = [
        (100, 1_000_000, "float32"),
        (100, 4_000_000, "float32"),
        (100, RESNET18, "float32"),
        (100, 2 * RESNET18, "float32"),
        (32, BERT, "float16"),
    ]
    for n, d, dtype in cases:
        compare(args.folder, n, d, dtype, args.repeats)
    extrapolate(args.folder, args.repeats)


if __name__ == "__main__":
    main()
