"""From samples to whole networks, streaming column blocks of the weight matrix."""

import numpy as np

from dwf_steps.generators.samples import Samples
from dwf_steps.storage.matrix import WeightMatrix


def decode_block(samples: Samples, matrix: WeightMatrix, columns: slice) -> np.ndarray:
    """Return one column block (k, columns) of the samples, float32.

    A sample that is not finite stays so; it does not touch the others.
    """
    training = matrix.read(columns)[: matrix.n_training].astype(np.float64)
    mean = training.mean(axis=0)
    # Samples may be infinite or NaN: that is counted later, not warned of here.
    with np.errstate(invalid="ignore", over="ignore"):
        rows = mean + samples.coefficients @ (training - mean)
    if samples.offsets.shape[1]:
        rows += samples.offsets[:, columns]
    if samples.noise_std:
        draws = np.random.default_rng([samples.noise_seed, columns.start])
        rows += samples.noise_std * draws.standard_normal(rows.shape)
    with np.errstate(over="ignore"):
        return rows.astype(np.float32)
