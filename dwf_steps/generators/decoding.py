"""From samples to whole networks, streaming column blocks of the weight matrix."""

from functools import lru_cache

import numpy as np

from dwf_steps.generators.layers import first_layer, in_layers
from dwf_steps.generators.samples import Samples
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.precision import RelativeError
from dwf_steps.storage.row_facts import read_facts
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.subspace.centring import centred_strips

VARIANCE = "running_var"  # what PyTorch calls it
COMPARED = 8  # column blocks, about, that are decoded in float64 as well


def compared_blocks(matrix: WeightMatrix) -> list[int]:
    """Return where those column blocks start that are decoded in float64 as well, evenly spread."""
    blocks = list(matrix.column_blocks())
    return [columns.start for columns in blocks[:: -(-len(blocks) // COMPARED)]]


def decode_block(
    samples: Samples, matrix: WeightMatrix, columns: slice, dtype: type = np.float32
) -> np.ndarray:
    """Return one column block (k, columns) of the samples, computed in ``dtype``.

    With any shift s near the training mean, mean + C (X - mean) is s + (C + (1 - C 1) 1'/n) (X - s): what
    rounding does to s plays no part, and products are of centred rows. A sample that is not finite stays
    so; it does not touch the others.
    """
    n, used = matrix.n_training, samples.coefficients.shape[1]
    block = matrix.read(columns)[:used]
    rows: np.ndarray = np.empty((len(samples), block.shape[1]), dtype)
    # Samples may be infinite or NaN, or become so: that is counted later, not warned of here.
    with np.errstate(invalid="ignore", over="ignore"):
        weights = _mixing(samples, n, dtype)
        for strip, centred, shift in centred_strips(block, n, np.dtype(dtype)):
            np.add(weights @ centred, shift, out=rows[:, strip])
        if samples.offsets.shape[1]:
            rows += samples.offsets[:, columns]
        if samples.later_scale != 1:
            later = _later_columns(matrix)[columns]
            mean = _means(samples, matrix, block[:n, later])
            rows[:, later] = mean + samples.later_scale * (rows[:, later] - mean)
        if samples.noise_std:
            std: np.ndarray | float = samples.noise_std
            if samples.noise_relative:
                std = (std * block[:n].std(axis=0, ddof=1, dtype=np.float64)).astype(dtype)
            for i, row in enumerate(rows, start=samples.first):
                draws = np.random.default_rng([samples.noise_seed, i, columns.start])
                row += std * draws.standard_normal(len(row), np.float32)
    return rows


@lru_cache(maxsize=1)
def _later_columns(matrix: WeightMatrix) -> np.ndarray:
    """Return which columns belong to other layers than the first, (d,) bool; found once for all blocks."""
    return ~in_layers(matrix.layout, [first_layer(matrix.architecture)])


def _means(samples: Samples, matrix: WeightMatrix, block: np.ndarray) -> np.ndarray:
    """Return the mean of the training networks' columns (n, c) that samples deviate from, float64: (c,), or
    (k, c) where each is asked for a zoo."""
    if not len(samples.zoos):
        every: np.ndarray = block.mean(axis=0, dtype=np.float64)
        return every
    zoos, asked = np.unique(samples.zoos, return_inverse=True)
    own = _zoos(matrix)
    return np.stack([block[own == zoo].mean(axis=0, dtype=np.float64) for zoo in zoos])[asked]


@lru_cache(maxsize=1)
def _zoos(matrix: WeightMatrix) -> np.ndarray:
    """Return which zoo every training network of a zoo of zoos is of, (n,)."""
    return np.array([known.zoo for known in read_facts(matrix)[: matrix.n_training]], str)


def _mixing(samples: Samples, n: int, dtype: type) -> np.ndarray:
    """Return how much of each row a sample is, C + (1 - C 1) 1'/n with its coefficients C, (k, rows)."""
    weights: np.ndarray = samples.coefficients.astype(dtype)
    weights[:, :n] += (1 - samples.coefficients.sum(axis=1, keepdims=True)) / n
    return weights


def decode_buffers(samples: Samples, matrix: WeightMatrix) -> StackedNetworks[np.ndarray]:
    """Return the samples' buffers, each (k, *shape): of running statistics the affine combination that their
    weights are of the training networks', variances no less than 0; counters are the first network's.

    A sample that is no such combination (flows on raw weights) has the training networks' mean statistics.
    """
    n, used = matrix.n_training, samples.coefficients.shape[1]
    decoded: StackedNetworks[np.ndarray] = StackedNetworks()
    with np.errstate(invalid="ignore", over="ignore"):
        weights = _mixing(samples, n, np.float64)
        for name, array in matrix.buffers.items():
            if array.dtype != np.float32:
                decoded[name] = np.repeat(array[:1], len(samples), axis=0)
                continue
            combined = np.tensordot(weights, array[:used].astype(np.float64), 1)
            if name.endswith(VARIANCE):
                combined = np.maximum(combined, 0)
            decoded[name] = combined.astype(np.float32)
    return decoded


def compare_with_float64(
    error: RelativeError, samples: Samples, matrix: WeightMatrix, columns: slice, decoded: np.ndarray
) -> None:
    """Decode a block again in float64 and add how far the finite samples of ``decoded`` (k, columns) are
    from it."""
    exact = decode_block(samples, matrix, columns, np.float64)
    mean = matrix.read(columns)[: matrix.n_training].mean(axis=0, dtype=np.float64)
    finite = np.isfinite(decoded).all(axis=1)
    error.add(decoded[finite] - exact[finite], exact[finite] - mean)
