"""Distances after matching: how far a network is from each training network, whatever the order of units."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from dwf_steps.architectures.base import Architecture
from dwf_steps.runtime.progress import progress
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.canonical import LARGEST_SQUARABLE, align_attention
from dwf_steps.symmetry.git_rebasin import match_weights, squared_norms

GROUP_BYTES = 2**28  # of training networks that are held at a time
SWEEPS = 100  # at most; matching stops when a sweep changes nothing


def realigned_to_training(
    architecture: Architecture, networks: StackedNetworks[np.ndarray], matrix: WeightMatrix, threads: int = 1
) -> np.ndarray:
    """Return the Euclidean distance of each of k networks, arrays (k, *shape), to each of n training
    networks, (k, n), after its units, and its attention heads, were matched to that very network's.

    Matching starts from the order the units are in, so that no distance exceeds the one before. The training
    networks are read some at a time, and matched by ``threads`` threads.
    """
    n = matrix.n_training
    size = max(1, GROUP_BYTES // (4 * architecture.layout.size))
    groups = [range(start, min(start + size, n)) for start in range(0, n, size)]
    parameters = architecture.parameters_of(networks)
    if max(np.abs(array).max() for array in parameters.values()) > LARGEST_SQUARABLE:
        parameters = parameters.map(lambda array: array.astype(np.float64))
    match = partial(_distances_to, parameters, squared_norms(parameters), architecture)
    columns: list[np.ndarray] = []
    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1):
        for group in progress(groups, "group of training networks"):
            references = architecture.parameters_of(matrix.networks(list(group)))
            each = (references.network(i) for i in range(len(group)))
            columns += pool.map(match, each)
    return np.stack(columns, axis=1)


def _distances_to(
    networks: StackedNetworks[np.ndarray],
    norms: np.ndarray,
    architecture: Architecture,
    reference: NetworkState[np.ndarray],
) -> np.ndarray:
    """Return the distances (k,) of networks with squared ``norms`` to one reference after matching to it."""
    networks = align_attention(architecture.attention_spec(), reference, networks, "weights")
    spec = architecture.permutation_spec()
    matching = match_weights(reference, networks, spec, SWEEPS, numpy_generator("git rebasin", 0))
    (norm,) = squared_norms(StackedNetworks.of_one(reference))
    return np.sqrt(np.maximum(norms + norm - 2 * matching.objective[-1], 0))
