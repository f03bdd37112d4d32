"""The positive scaling symmetry of ReLU units, removed by unit-norm incoming weights."""

from collections.abc import Mapping

import numpy as np

from dwf_steps.symmetry.spec import RescalingSpec


def normalize_incoming(parameters: Mapping[str, np.ndarray], spec: RescalingSpec) -> dict[str, np.ndarray]:
    """Scale every hidden unit's incoming weights to unit norm, its bias along, its outgoing inversely.

    relu(a x) = a relu(x) for a > 0, so the function stays as it is (Erdogan 2025, arXiv 2504.03710,
    section on the normalized form; here the last layer keeps its scale). A unit without incoming weights
    has no direction to normalise and is left alone.

    Parameters
    ----------
    parameters
        n networks, parameters (n, *shape), in float64.
    spec
        For each hidden layer, in order: incoming parameters and the outgoing weight.
    """
    result = dict(parameters)
    for incoming, outgoing in spec:
        weight = result[incoming[0]]
        n, units = weight.shape[:2]
        norms = np.linalg.norm(weight.reshape(n, units, -1), axis=2)
        norms = np.where(norms > 0, norms, 1.0)
        for name in incoming:
            array = result[name]
            result[name] = array / norms.reshape(n, units, *[1] * (array.ndim - 2))
        array = result[outgoing]
        result[outgoing] = array * norms.reshape(n, 1, units, *[1] * (array.ndim - 3))
    return result
