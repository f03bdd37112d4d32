"""Decoding samples into whole networks, streaming column blocks of the weight matrix."""

from functools import lru_cache

import numpy as np

from dwf_steps.generators.layers import first_layer, in_layers
from dwf_steps.generators.samples import Samples
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.precision import RelativeError
from dwf_steps.storage.row_facts import read_facts
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.subspace.centring import centred_strips

VARIANCE = "running_var"  # PyTorch's name of batch norm's variance
COMPARED = 8  # column blocks, approximately, that are also decoded in float64
COMPARED_SAMPLES = 100  # samples, approximately, that are also decoded in float64


def compared_blocks(matrix: WeightMatrix) -> list[int]:
    """Choose the column blocks that are also decoded in float64, evenly spaced.

    Parameters
    ----------
    matrix
        The zoo's weight matrix.

    Returns
    -------
    The first column of each.
    """
    blocks = list(matrix.column_blocks())
    return [columns.start for columns in blocks[:: -(-len(blocks) // COMPARED)]]


def decode_block(
    samples: Samples, matrix: WeightMatrix, columns: slice, dtype: type = np.float32
) -> np.ndarray:
    """Decode one column block of samples.

    For any shift s near the training mean, mean + C (X - mean) = s + (C + (1 - C 1) 1'/n) (X - s), so that
    rounding s does not matter and only centred rows are multiplied. Samples that are not finite stay so and
    do not affect the others.

    Parameters
    ----------
    samples
        The samples, k rows.
    matrix
        The zoo's weight matrix, from which they are combined.
    columns
        The columns to decode.
    dtype
        Precision of the computation and of the result.

    Returns
    -------
    The samples' weights in these columns, (k, columns).
    """
    n, used = matrix.n_training, samples.coefficients.shape[1]
    block = matrix.read(columns)[:used]
    rows: np.ndarray = np.empty((len(samples), block.shape[1]), dtype)
    # Samples may be infinite or NaN, or become so; they are counted later.
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
    """Return which columns do not belong to the first layer, (d,) bool."""
    return ~in_layers(matrix.layout, [first_layer(matrix.architecture)])


def _means(samples: Samples, matrix: WeightMatrix, block: np.ndarray) -> np.ndarray:
    """Return the means of the training networks' columns (n, c) from which samples deviate, float64.

    The means have shape (c,), or (k, c) if samples have requested zoos.
    """
    if not len(samples.zoos):
        every: np.ndarray = block.mean(axis=0, dtype=np.float64)
        return every
    zoos, asked = np.unique(samples.zoos, return_inverse=True)
    own = _zoos(matrix)
    return np.stack([block[own == zoo].mean(axis=0, dtype=np.float64) for zoo in zoos])[asked]


@lru_cache(maxsize=1)
def _zoos(matrix: WeightMatrix) -> np.ndarray:
    """Return the zoo of each training network in a combined zoo, (n,)."""
    return np.array([known.zoo for known in read_facts(matrix)[: matrix.n_training]], str)


def _mixing(samples: Samples, n: int, dtype: type) -> np.ndarray:
    """Return the weight of each row in each sample, C + (1 - C 1) 1'/n for coefficients C, (k, rows)."""
    weights: np.ndarray = samples.coefficients.astype(dtype)
    weights[:, :n] += (1 - samples.coefficients.sum(axis=1, keepdims=True)) / n
    return weights


def decode_buffers(samples: Samples, matrix: WeightMatrix) -> StackedNetworks[np.ndarray]:
    """Decode the samples' buffers.

    Running statistics are combined with the samples' coefficients, variances clipped at 0; integer counters
    are those of the first network. Samples without coefficients, such as those of flows on raw weights, have
    the training networks' mean statistics.

    Parameters
    ----------
    samples
        The samples, k rows.
    matrix
        The zoo's weight matrix, with its buffers.

    Returns
    -------
    Buffers by name, each (k, *shape).
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
    """Measure the error of a decoded block against decoding in float64, on the first samples.

    Parameters
    ----------
    error
        Accumulates the error of finite samples, relative to their distance from the training mean.
    samples
        The samples, k rows.
    matrix
        The zoo's weight matrix.
    columns
        The block's columns.
    decoded
        The decoded block, (k, columns).
    """
    parts = min(samples.networks, -(-len(samples) // COMPARED_SAMPLES))
    few = samples.part(0, parts)
    decoded = decoded[: len(few)]
    exact = decode_block(few, matrix, columns, np.float64)
    mean = matrix.read(columns)[: matrix.n_training].mean(axis=0, dtype=np.float64)
    finite = np.isfinite(decoded).all(axis=1)
    error.add(decoded[finite] - exact[finite], exact[finite] - mean)
