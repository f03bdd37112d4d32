"""PCA of many large networks: one streamed pass over the matrix, against scikit-learn's IncrementalPCA.

Synthetic rows of the true shapes, on disk. The floor is reading the file once plus n^2 d multiply-adds at
this machine's measured rate of matrix products.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.subspace.basis import dual_pca
from dwf_steps.subspace.gram import accumulate

RESNET18 = 11_181_642


def write_matrix(path: Path, n: int, d: int, dtype: str) -> float:
    """Write a synthetic matrix and return the seconds it took."""
    rows = [Row(f"seed-{i}") for i in range(n)]
    draws = np.random.default_rng(0)
    matrix = WeightMatrix.create(path, Layout.of({"weight": (d,)}), rows, {}, dtype)  # type: ignore[arg-type]
    seconds = 0.0
    for columns in matrix.write_blocks():
        block = draws.standard_normal((n, columns.stop - columns.start), np.float32).astype(dtype)
        started = time.perf_counter()
        matrix.array[:, columns] = block
        seconds += time.perf_counter() - started
    return seconds


def ours(path: Path, components: int) -> None:
    part = accumulate(WeightMatrix.open(path), threads=len(os.sched_getaffinity(0)))
    dual_pca(part.products, part.n_training, components)


def reading(path: Path, components: int) -> None:  # noqa: ARG001
    """Read every file of the matrix once."""
    buffer = bytearray(2**24)
    for file in path.rglob("*"):
        if file.is_file():
            with file.open("rb", buffering=0) as stream:
                while stream.readinto(buffer):
                    pass


def incremental(path: Path, components: int) -> None:
    from sklearn.decomposition import IncrementalPCA

    IncrementalPCA(components).fit(WeightMatrix.open(path).read())


SIDES = {"ours": ours, "reading": reading, "incremental": incremental}


def measure(side: str, path: Path, components: int) -> tuple[float, float]:
    """Return seconds and peak memory in GB of one side, in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--path", str(path), "--components", str(components)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory


def one_side(side: str, path: Path, components: int) -> None:
    import resource

    started = time.perf_counter()
    SIDES[side](path, components)
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))


def product_rate() -> float:
    """Return this machine's multiply-adds a second in large float32 matrix products."""
    a, b = np.random.default_rng(0).standard_normal((2, 2000, 2000)).astype(np.float32)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2000**3 / float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--weights", type=int, nargs="+", default=[1_000_000, RESNET18, 2 * RESNET18])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--incremental-up-to", type=int, default=RESNET18, help="d where scikit-learn still fits"
    )
    parser.add_argument("--folder", type=Path, help="where to put the matrices (default: a temporary folder)")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--components", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        one_side(args.side, args.path, args.components)
        return
    n = args.networks
    rate = product_rate()
    print(f"n = {n}, {args.dtype}, PCA to {n - 1} components; medians of {args.repeats}")
    print(f"matrix products: {2 * rate / 1e9:.0f} GFLOP/s in float32")
    for d in args.weights:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            path = Path(folder) / "weights.zarr"
            written = write_matrix(path, n, d, args.dtype)
            read = np.median([measure("reading", path, n - 1)[0] for _ in range(args.repeats)])
            runs = [measure("ours", path, n - 1) for _ in range(args.repeats)]
            seconds, memory = np.median([s for s, _ in runs]), max(m for _, m in runs)
            floor = read + n * n * d / rate
            line = f"d = {d:>11,}: write {written:6.1f} s, ours {seconds:6.1f} s, {memory:.2f} GB"
            line += f"; reading {read:.1f} s, floor {floor:.1f} s, ratio {seconds / floor:.2f}"
            if d <= args.incremental_up_to:
                theirs, their_memory = measure("incremental", path, n - 1)
                line += (
                    f"; IncrementalPCA {theirs:.1f} s, {their_memory:.1f} GB, ratio {theirs / seconds:.0f}"
                )
            print(line, flush=True)


if __name__ == "__main__":
    main()
