"""The positive scaling symmetry of ReLU units, removed by unit-norm incoming weights."""

import numpy as np

from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.spec import Rescaling, RescalingSpec

EPSILON = 1e-5  # PyTorch's, that batch normalisation adds to variances


def normalize_incoming(
    networks: StackedNetworks[np.ndarray], spec: RescalingSpec
) -> StackedNetworks[np.ndarray]:
    """Scale every hidden unit's incoming weights to unit norm, its bias along, its outgoing inversely.

    relu(a x) = a relu(x) for a > 0, so the function stays as it is (Erdogan 2025, arXiv 2504.03710,
    section on the normalized form; here the last layer keeps its scale). A unit without incoming weights
    has no direction to normalise and is left alone.

    What batch normalisation follows has no outgoing weights to scale: its statistics, where there are some,
    are scaled instead, the variance so that what is added to it plays no part.

    Parameters
    ----------
    networks
        In float64, with or without running statistics.
    spec
        For each hidden layer, in order, what comes in and what goes out.
    """
    return scaled_incoming(networks, spec)[0]


def scaled_incoming(
    networks: StackedNetworks[np.ndarray], spec: RescalingSpec
) -> tuple[StackedNetworks[np.ndarray], list[np.ndarray]]:
    """Return what `normalize_incoming` does, and the norms (n, units) that each of the spec's layers had when
    it was its turn."""
    result, every = StackedNetworks(networks), []
    for units in spec:
        weight = result[units.incoming[0]]
        norms = np.linalg.norm(weight.reshape(*weight.shape[:2], -1), axis=2)
        every.append(np.where(norms > 0, norms, 1.0))
        result = rescale(result, units, every[-1])
    return result, every


def rescale(
    networks: StackedNetworks[np.ndarray], units: Rescaling, norms: np.ndarray
) -> StackedNetworks[np.ndarray]:
    """Return n networks with what comes into units divided by ``norms`` (n, units), what goes out times
    them."""
    result = StackedNetworks(networks)
    for name in units.incoming:
        result[name] = result[name] / _along(norms, result[name], 1)
    for name in units.outgoing:
        result[name] = result[name] * _along(norms, result[name], 2)
    if units.statistics and units.statistics[0] in result:
        mean, variance = units.statistics
        result[mean] = result[mean] / norms
        result[variance] = np.maximum((result[variance] + EPSILON) / norms**2 - EPSILON, 0)
    return result


def _along(norms: np.ndarray, array: np.ndarray, axis: int) -> np.ndarray:
    """Return norms (n, units) in a shape that multiplies ``array`` (n, ...) along its ``axis``, where every
    unit has equally many entries in a row."""
    norms = norms.repeat(array.shape[axis] // norms.shape[1], axis=1)
    shape = [1] * array.ndim
    shape[0], shape[axis] = norms.shape
    return norms.reshape(shape)
