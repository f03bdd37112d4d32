"""Activation matching: permute units to match a reference by what they respond to the same inputs."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.permutation import Permutations, permute
from dwf_steps.symmetry.spec import PermutationSpec, pieces, unit_counts


class Responding(Protocol):
    """What networks respond to probes, in numbers whose squared distances are to be small."""

    @property
    def spec(self) -> PermutationSpec:
        """Layer -> (None, axis): which units the columns of a layer's responses are of, of one permutation
        alone."""

    def of(self, networks: StackedNetworks[np.ndarray]) -> Iterator[StackedNetworks[np.ndarray]]:
        """Yield the responses (n, rows, units) of layers of some networks at a time, in order."""


def match_responses(
    reference: NetworkState[np.ndarray], responses: StackedNetworks[np.ndarray], spec: PermutationSpec
) -> Permutations:
    """Find permutations that minimise the summed squared distance of paired units' responses.

    With the responses X of the reference's units and Y of a network's, that of the unit ``p(u)`` placed at u,

        sum over u of |x_u - y_p(u)|^2 = |X|^2 + |Y|^2 - 2 sum over u of <x_u, y_p(u)>

    is a linear assignment, solved exactly (Li et al. 2016, arXiv 1511.07543; Ainsworth et al. 2023, arXiv
    2209.04836, section 3.1). Where several layers yield the units, as along a residual stream, inner products
    are summed over them. The order of other units plays no part. Units that respond alike to all probes are
    not told apart.

    Parameters
    ----------
    reference
        Responses (rows, units) of one network's layers, or a mean of them.
    responses
        Those of n networks, (n, rows, units).
    spec
        Layer -> (None, axis), on which one permutation acts.

    Returns
    -------
    For each permutation, (n, units).
    """
    shapes = {name: array.shape for name, array in reference.items()}
    parts = [(name, piece) for name, of_name in pieces(shapes, spec).items() for piece in of_name]
    gains: dict[str, np.ndarray] = {}
    for permutation, units in unit_counts(shapes, spec).items():
        total: np.ndarray | float = 0.0
        for name, piece in parts:
            if permutation in piece.axes:
                axis = piece.axes.index(permutation) + 1
                (wanted,), found = (
                    np.moveaxis(piece.of(np.asarray(array, np.float64)), axis, -1).reshape(
                        len(array), -1, units
                    )
                    for array in (reference[name][None], responses[name])
                )
                total = total + wanted.T @ found
        gains[permutation] = np.asarray(total)
    return {
        permutation: np.stack([linear_sum_assignment(gain, maximize=True)[1] for gain in of_networks])
        for permutation, of_networks in gains.items()
    }


def required(responding: Responding | None) -> Responding:
    """Return what networks respond.

    Raises
    ------
    ValueError
        If it was not given.
    """
    if responding is None:
        raise ValueError("activation_matching compares responses, but none were given; state `responding`")
    return responding


def responses_of_one(responding: Responding, network: NetworkState[np.ndarray]) -> NetworkState[np.ndarray]:
    """Return the responses (rows, units) of one network's layers."""
    (found,) = responding.of(StackedNetworks.of_one(network))
    return found.network(0)


def match_activations(
    goal: NetworkState[np.ndarray], networks: StackedNetworks[np.ndarray], responding: Responding
) -> Permutations:
    """Find the permutations of n networks whose responses match those given, (rows, units) of each layer."""
    parts = [match_responses(goal, found, responding.spec) for found in responding.of(networks)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def matched_responses(
    goal: NetworkState[np.ndarray], networks: StackedNetworks[np.ndarray], responding: Responding
) -> Iterator[StackedNetworks[np.ndarray]]:
    """Yield the responses of networks after matching, some networks at a time."""
    for found in responding.of(networks):
        yield permute(found, responding.spec, match_responses(goal, found, responding.spec))
