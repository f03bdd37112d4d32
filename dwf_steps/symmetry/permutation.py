"""Acting on networks with permutations of their hidden units."""

import numpy as np

from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.spec import PermutationSpec, order_of_entries

Permutations = dict[str, np.ndarray]
"""permutation name -> (n, units): entry (i, u) is the unit of network i that moves to place u."""


def permute_axis(array: np.ndarray, axis: int, permutation: np.ndarray) -> np.ndarray:
    """Return ``array`` (n, *shape), axis ``axis`` of ``shape`` reordered by ``permutation`` (n, units)."""
    index = [np.newaxis] * (array.ndim - 1)
    index[axis] = slice(None)  # type: ignore[call-overload]
    return np.take_along_axis(array, permutation[(slice(None), *index)], axis=axis + 1)


def permute(
    networks: StackedNetworks[np.ndarray], spec: PermutationSpec, permutations: Permutations
) -> StackedNetworks[np.ndarray]:
    """Return n networks, arrays (n, *shape), with their hidden units reordered; arrays that the spec does not
    name stay as they are."""
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
