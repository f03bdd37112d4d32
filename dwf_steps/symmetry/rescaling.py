"""Removal of the positive scaling symmetry of ReLU units: incoming weights get unit norm."""

import numpy as np

from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.spec import Rescaling, RescalingSpec

EPSILON = 1e-5  # PyTorch's default, which batch norm adds to variances


def normalize_incoming(
    networks: StackedNetworks[np.ndarray], spec: RescalingSpec
) -> StackedNetworks[np.ndarray]:
    """Scale every hidden unit's incoming weights to unit norm.

    The unit's bias is divided by the same norm and its outgoing weights are multiplied by it, which preserves
    the function since relu(a x) = a relu(x) for a > 0 (Erdogan 2025, arXiv 2504.03710, section on the
    normalized form; here the last layer keeps its scale). Units whose incoming weights are all zero are left
    unchanged.

    Layers before batch norm have no outgoing weights to scale. Instead, running statistics are scaled, if
    there are any; the variance such that the constant added to it has no effect.

    Parameters
    ----------
    networks
        The n networks in float64, with or without running statistics.
    spec
        Incoming and outgoing parameters of each hidden layer, in order.

    Returns
    -------
    The normalised networks.
    """
    return scaled_incoming(networks, spec)[0]


def scaled_incoming(
    networks: StackedNetworks[np.ndarray], spec: RescalingSpec
) -> tuple[StackedNetworks[np.ndarray], list[np.ndarray]]:
    """Scale every hidden unit's incoming weights to unit norm, and return the norms.

    Parameters
    ----------
    networks, spec
        See `normalize_incoming`.

    Returns
    -------
    The normalised networks, and for each layer of the spec the norms by which it was divided, (n, units):
    those after the preceding layers were normalised, or 1 for units whose incoming weights are all zero.
    """
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
    """Divide units' incoming parameters by given norms, and multiply their outgoing weights by them.

    Running statistics are divided like incoming parameters.

    Parameters
    ----------
    networks
        The n networks, with arrays (n, *shape).
    units
        Incoming and outgoing parameters of the units.
    norms
        Positive factors, (n, units).

    Returns
    -------
    The rescaled networks.
    """
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
    """Reshape norms (n, units) to multiply ``array`` (n, ...) along an axis.

    Each unit may have several consecutive entries there.
    """
    norms = norms.repeat(array.shape[axis] // norms.shape[1], axis=1)
    shape = [1] * array.ndim
    shape[0], shape[axis] = norms.shape
    return norms.reshape(shape)
