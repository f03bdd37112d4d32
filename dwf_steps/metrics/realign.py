"""Distances to each training network after matching units to that network."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from dwf_steps.architectures.base import Architecture
from dwf_steps.runtime.progress import progress
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.layout import layer_of
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.canonical import LARGEST_SQUARABLE, align_attention, align_streams
from dwf_steps.symmetry.git_rebasin import match_weights
from dwf_steps.symmetry.permutation import permute

GROUP_BYTES = 2**28  # of training networks in memory at a time
COMPARED_BYTES = 2**24  # of differences from a training network in memory at a time
SWEEPS = 100  # at most; matching stops when a sweep changes nothing


@dataclass(frozen=True)
class RealignedDistances:
    """Euclidean distances of k networks to n training networks, after matching to each of them.

    Attributes
    ----------
    distances
        In all parameters, (k, n); infinite for pairs that are not compared.
    layers
        By layer, (k,): the smallest distance to any training network in that layer alone, before or after
        matching, whichever is smaller: layers are matched jointly, which may misalign a copied one. The
        nearest training network may differ between layers.
    """

    distances: np.ndarray
    layers: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.distances)

    @property
    def nearest(self) -> np.ndarray:
        """The distance to the nearest training network, (k,)."""
        return np.asarray(self.distances.min(axis=1))

    def by_layer(self, names: list[str]) -> pd.DataFrame:
        """Return the layers' distances in long form, with columns ``network``, ``layer`` and ``distance``.

        Parameters
        ----------
        names
            Names of the k networks.
        """
        distances = np.stack(list(self.layers.values()), axis=1)
        pairs = pd.MultiIndex.from_product([names, list(self.layers)], names=["network", "layer"])
        return pd.DataFrame({"distance": distances.ravel()}, index=pairs).reset_index()


def realigned_to_training(
    architecture: Architecture,
    networks: StackedNetworks[np.ndarray],
    matrix: WeightMatrix,
    threads: int = 1,
    related: np.ndarray | None = None,
) -> RealignedDistances:
    """Measure distances to each training network after matching units and attention heads to it.

    Matching starts from the given order of units, so no distance in all parameters is larger than before.

    Parameters
    ----------
    architecture
        That of all networks.
    networks
        The k networks, with arrays (k, *shape).
    matrix
        Weights of the zoo; its training networks are read in groups.
    threads
        How many training networks to match to at the same time.
    related
        The training networks that each network is not compared with, (k, n) bool: itself and those of the
        same training run. None to compare with all.

    Returns
    -------
    Distances in all parameters and layer by layer.
    """
    n = matrix.n_training
    size = max(1, GROUP_BYTES // (4 * architecture.layout.size))
    groups = [range(start, min(start + size, n)) for start in range(0, n, size)]
    parameters = architecture.parameters_of(networks)
    if max(np.abs(array).max() for array in parameters.values()) > LARGEST_SQUARABLE:
        parameters = parameters.map(lambda array: array.astype(np.float64))
    layers = list(dict.fromkeys(map(layer_of, parameters)))
    nearest = np.full((len(layers), networks.count), np.inf)
    match = partial(_squared_distances, parameters, architecture, layers)
    totals: list[np.ndarray] = []
    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1):
        for group in progress(groups, "group of training networks"):
            references = architecture.parameters_of(matrix.networks(list(group)))
            each = (references.network(i) for i in range(len(group)))
            squares = np.stack(list(pool.map(match, each)), axis=-1)
            if related is not None:
                squares[:, :, related[:, group.start : group.stop]] = np.inf
            totals.append(squares[1].sum(axis=0))
            nearest = np.minimum(nearest, squares.min(axis=(0, -1)))
    distances = np.sqrt(np.concatenate(totals, axis=1))
    return RealignedDistances(distances, dict(zip(layers, np.sqrt(nearest), strict=True)))


def _squared_distances(
    networks: StackedNetworks[np.ndarray],
    architecture: Architecture,
    layers: list[str],
    reference: NetworkState[np.ndarray],
) -> np.ndarray:
    """Return squared distances of k networks to a reference, before and after matching, (2, layers, k)."""
    symmetries = architecture.symmetry_spec()
    aligned = align_streams(symmetries, reference, networks, SWEEPS, 0)
    aligned = align_attention(symmetries.attentions, reference, aligned, "weights")
    spec = symmetries.permutations
    orders = match_weights(reference, aligned, spec, SWEEPS, numpy_generator("git rebasin", 0)).permutations
    squares = np.zeros((2, len(layers), networks.count))
    size = max(1, COMPARED_BYTES // (8 * architecture.layout.size))
    for (rows, before), (_, some) in zip(networks.chunks(size), aligned.chunks(size), strict=True):
        after = permute(some, spec, {name: order[rows] for name, order in orders.items()})
        for when, moved in enumerate((before, after)):
            for name, array in moved.items():
                apart = np.subtract(array, reference[name], dtype=np.float64).reshape(len(array), -1)
                squares[when, layers.index(layer_of(name)), rows] += np.einsum("ki,ki->k", apart, apart)
    return squares
