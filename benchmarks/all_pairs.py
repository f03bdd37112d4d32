"""All-pairs metrics of 1000 generated and 1000 training networks 784-32-32-10, beside plain NumPy loops.

    python benchmarks/all_pairs.py

Networks and outputs are synthetic, of the true shapes (10,000 test items, 10 classes, float16). The loop is
what a user would write first, timed on a few pairs and multiplied. Targets: 2 minutes, 4 GB, two cores.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import passive_threads  # noqa: F401
from scipy.spatial.distance import cdist
from scipy.special import log_softmax

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.metrics.novelty import wrong_set_iou
from dwf_steps.metrics.products import stream_products
from dwf_steps.metrics.realign import realigned_to_training
from dwf_steps.metrics.sets import PRDC, own_radii, prdc, wasserstein_to_zoo
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.subspace.gram import accumulate, distances_among
from dwf_steps.tasks.classification import wrong
from dwf_steps.tasks.similarity import disagreement, hellinger, paired_jensen_shannon

CLASSES, REALIGNED, LOOPED = 10, 100, 30
NEIGHBOURS = 5


def outputs(n: int, items: int, draws: np.random.Generator) -> np.ndarray:
    """Return log-probabilities (n, items, classes) float16 of networks that mostly agree."""
    common = 6 * np.eye(CLASSES, dtype=np.float32)[draws.integers(CLASSES, size=items)]
    result = np.empty((n, items, CLASSES), np.float16)
    for network in result:
        network[:] = log_softmax(common + 2 * draws.standard_normal((items, CLASSES), np.float32), axis=-1)
    return result


@contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
    print(f"{name:55} {seconds[name]:7.1f} s", flush=True)


def looped(pair: Callable[[int, int], object], n: int) -> float:
    """Return the seconds that a loop over all n x n pairs would take."""
    start = time.perf_counter()
    for i in range(LOOPED):
        pair(i % n, (7 * i) % n)
    return (time.perf_counter() - start) / LOOPED * n * n


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--items", type=int, default=10_000)
    args = parser.parse_args()
    n, draws = args.networks, np.random.default_rng(0)
    seconds: dict[str, float] = {}
    architecture = build(MLPConfig(widths=[784, 32, 32, 10]))
    targets = draws.integers(CLASSES, size=args.items)
    predictions, training = outputs(n, args.items, draws), outputs(n, args.items, draws)
    weights = draws.standard_normal((2 * n, architecture.layout.size), np.float32) / 20
    with tempfile.TemporaryDirectory() as folder:
        matrix = WeightMatrix.create(
            Path(folder) / "weights.zarr", architecture.layout, [Row(f"seed-{i}") for i in range(n)], {}
        )
        for columns in matrix.write_blocks():
            matrix.array[:, columns] = weights[:n, columns]
        gram = accumulate(matrix, threads=2)
        generated = weights[n:]
        with timed("wrong-set IoU", seconds):
            mistakes = wrong(predictions, targets), wrong(training, targets)
            wrong_set_iou(*mistakes)
        with timed("disagreement", seconds):
            disagreement(predictions.argmax(-1), training.argmax(-1), CLASSES)
        with timed("Jensen-Shannon from the most similar", seconds):
            paired_jensen_shannon(predictions, training)
        with timed("Hellinger distances, three sets of pairs", seconds):
            apart = (
                hellinger(training, training),
                hellinger(predictions, predictions),
                hellinger(predictions, training),
            )
        with timed("precision, recall, density, coverage in output space", seconds):
            _prdc(*apart)
        with timed("products of weights, one pass", seconds):
            products = stream_products(matrix, n, lambda columns: generated[:, columns], gram)
        with timed("spans, cosines, precision and recall in weight space", seconds):
            distances = (
                distances_among(products.training),
                products.distances_among_generated,
                products.distances_to_training,
            )
            _prdc(*distances)
            _ = products.share_in_span, products.max_squared_cosine
        with timed("Wasserstein distance and its baseline, 10 draws", seconds):
            wasserstein_to_zoo(distances[2], products.training, np.arange(n), draws, 10)
        with timed(f"realigning {REALIGNED} networks to all {n}", seconds):
            some = architecture.layout.unflatten(generated[:REALIGNED])
            realigned_to_training(architecture, some, matrix, threads=2)
    total = sum(seconds.values())
    print(f"\nall: {total:.0f} s, target 120 s; peak memory {peak_gb():.1f} GB, target 4 GB")
    loops = {
        "wrong-set IoU": looped(lambda i, j: _iou(mistakes[0][i], mistakes[1][j]), n),
        "Hellinger distances, three sets of pairs": 3
        * looped(lambda i, j: _hellinger(predictions[i], training[j]), n),
        "products of weights, one pass": looped(
            lambda i, j: cdist(generated[i : i + 1], weights[j : j + 1]), n
        ),
    }
    for name, loop in loops.items():
        print(f"{name}: a loop over pairs would take {loop:.0f} s, {loop / seconds[name]:.0f} times as long")


def _prdc(real: np.ndarray, generated: np.ndarray, across: np.ndarray) -> PRDC:
    radii, generated_radii = (own_radii(own, NEIGHBOURS) for own in (real, generated))
    return prdc(radii, generated_radii, across, NEIGHBOURS)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def _hellinger(a: np.ndarray, b: np.ndarray) -> float:
    p, q = (np.exp(log.astype(np.float32) / 2) for log in (a, b))
    return float(np.sqrt(np.square(p - q).sum(-1).mean() / 2))


def peak_gb() -> float:
    """Return the most memory this process has held."""
    status = Path(f"/proc/{os.getpid()}/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


if __name__ == "__main__":
    main()
