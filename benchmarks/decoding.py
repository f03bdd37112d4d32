"""Decoding samples into network files, against reading the matrix once and writing the files once."""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import passive_threads  # noqa: F401
from subspace import BERT, RESNET18, matrix_on_disk, reading

from dwf_steps.decode import decode
from dwf_steps.generators.samples import Samples
from dwf_steps.pipeline.settings.generate import Decode
from dwf_steps.storage.matrix import Precision


def write_samples(path: Path, k: int, n: int) -> None:
    """Write coefficients (k, n) of points about as far from the mean as the training networks."""
    coefficients = np.random.default_rng(0).standard_normal((k, n)) / n**0.5
    coefficients -= coefficients.mean(axis=1, keepdims=True)
    Samples(np.empty((k, 0)), coefficients, np.empty((k, 0), np.float32)).save(path)


def seconds_writing(folder: Path, k: int, d: int) -> float:
    """Return the seconds that writing k files of d float32 takes, and flushing them to the disk."""
    row = np.random.default_rng(0).random(d, np.float32)
    started = time.perf_counter()
    for i in range(k):
        with (folder / f"{i}.bin").open("wb", buffering=0) as file:
            file.write(row.data)
    os.sync()
    return time.perf_counter() - started


def compare(folder: Path | None, k: int, n: int, d: int, dtype: Precision, repeats: int) -> None:
    with matrix_on_disk(folder, n, d, dtype) as weights:
        runs = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                floor_folder = Path(temporary)
                started = time.perf_counter()
                reading(weights)
                read = time.perf_counter() - started
                written = seconds_writing(floor_folder, k, d)
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                out = Path(temporary)
                write_samples(out / "samples.npz", k, n)
                settings = Decode(part=0, parts=1, memory_mb=1024)
                threads = len(os.sched_getaffinity(0))
                os.sync()
                started = time.perf_counter()
                decode(
                    settings, out / "samples.npz", weights, out / "networks", out / "networks.json", threads
                )
                os.sync()
                ours = time.perf_counter() - started
                facts = json.loads((out / "networks.json").read_text(encoding="utf-8"))["facts"]
            runs.append((ours, read, written))
        ours, read, written = np.median(runs, axis=0)
    print(
        f"k = {k}, n = {n}, d = {d:,}, {dtype}: {ours:.1f} s; reading {read:.1f} s, writing {written:.1f} s, "
        f"ratio {ours / (read + written):.2f}; error against float64 {facts['decoding_error']:.1e}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to put everything (default: a temporary folder)")
    args = parser.parse_args()
    compare(args.folder, 100, 100, RESNET18, "float32", args.repeats)
    compare(args.folder, 100, 100, RESNET18, "float16", args.repeats)
    compare(args.folder, 16, 32, BERT, "float16", args.repeats)


if __name__ == "__main__":
    main()
