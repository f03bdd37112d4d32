"""Permutation of networks' hidden units."""

import numpy as np

from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.spec import PermutationSpec, order_of_entries

Permutations = dict[str, np.ndarray]
"""permutation name -> (n, units): entry (i, u) is the unit of network i that moves to place u."""


def permute_axis(array: np.ndarray, axis: int, permutation: np.ndarray) -> np.ndarray:
    """Reorder an axis of n arrays, each by its own permutation.

    Parameters
    ----------
    array
        The arrays, (n, *shape).
    axis
        The axis of ``shape``.
    permutation
        The entry that moves to each place, (n, units).

    Returns
    -------
    The reordered arrays, (n, *shape).
    """
    index = [np.newaxis] * (array.ndim - 1)
    index[axis] = slice(None)  # type: ignore[call-overload]
    return np.take_along_axis(array, permutation[(slice(None), *index)], axis=axis + 1)


def permute(
    networks: StackedNetworks[np.ndarray], spec: PermutationSpec, permutations: Permutations
) -> StackedNetworks[np.ndarray]:
    """Reorder the hidden units of n networks.

    Parameters
    ----------
    networks
        The networks, with arrays (n, *shape).
    spec
        The permutations that act on each axis of each array; arrays that it does not name are unchanged.
    permutations
        The unit that moves to each place, (n, units) for each permutation.

    Returns
    -------
    The permuted networks.
    """
    result: StackedNetworks[np.ndarray] = StackedNetworks()
    for name, array in networks.items():
        for axis, permutation in enumerate(spec.get(name, ())):
            if isinstance(permutation, str):
                array = permute_axis(array, axis, permutations[permutation])
            elif permutation is not None:
                order = order_of_entries(permutation, array.shape[axis + 1], permutations)
                array = permute_axis(array, axis, order)
        result[name] = array
    return result
