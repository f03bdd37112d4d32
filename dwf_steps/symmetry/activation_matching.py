"""Activation matching: permute units so that their responses to the same inputs match a reference's."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.permutation import Permutations, permute
from dwf_steps.symmetry.spec import PermutationSpec, pieces, unit_counts


class Responding(Protocol):
    """Responses of networks to probes, whose squared distances matching minimises."""

    @property
    def spec(self) -> PermutationSpec:
        """Layer -> (None, axis): the permutation of its responses' columns, on which only one may act."""

    def of(self, networks: StackedNetworks[np.ndarray]) -> Iterator[StackedNetworks[np.ndarray]]:
        """Yield the responses (n, rows, units) of each layer, for a few networks at a time, in order."""


def match_responses(
    reference: NetworkState[np.ndarray], responses: StackedNetworks[np.ndarray], spec: PermutationSpec
) -> Permutations:
    """Find permutations that minimise the summed squared distance between responses of paired units.

    Let X be the responses of the reference's units and Y those of a network's. The distance, with unit
    ``p(u)`` placed at u,

        sum over u of |x_u - y_p(u)|^2 = |X|^2 + |Y|^2 - 2 sum over u of <x_u, y_p(u)>

    is minimised by a linear assignment, which is solved exactly (Li et al. 2016, arXiv 1511.07543; Ainsworth
    et al. 2023, arXiv 2209.04836, section 3.1). If several layers output the same units, as along a residual
    stream, their inner products are added. The result does not depend on the order of other units. Units with
    equal responses to all probes cannot be distinguished.

    Parameters
    ----------
    reference
        Responses (rows, units) of each layer of one network, or their mean over networks.
    responses
        Responses of n networks, (n, rows, units).
    spec
        Layer -> (None, axis), on which one permutation acts.

    Returns
    -------
    For each permutation, the unit that moves to each place, (n, units).
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
    """Return the responses if they are given.

    Parameters
    ----------
    responding
        Responses of networks, or None.

    Returns
    -------
    ``responding``.

    Raises
    ------
    ValueError
        If it is None.
    """
    if responding is None:
        raise ValueError("activation_matching compares responses, but none were given; state `responding`")
    return responding


def responses_of_one(responding: Responding, network: NetworkState[np.ndarray]) -> NetworkState[np.ndarray]:
    """Compute the responses of a single network.

    Parameters
    ----------
    responding
        Responses of networks.
    network
        The network's arrays.

    Returns
    -------
    Responses (rows, units) by layer.
    """
    (found,) = responding.of(StackedNetworks.of_one(network))
    return found.network(0)


def match_activations(
    goal: NetworkState[np.ndarray], networks: StackedNetworks[np.ndarray], responding: Responding
) -> Permutations:
    """Find permutations of networks whose responses match given ones.

    Parameters
    ----------
    goal
        Responses (rows, units) of each layer to match.
    networks
        The n networks, arrays (n, *shape).
    responding
        Computes their responses.

    Returns
    -------
    For each permutation, the unit that moves to each place, (n, units).
    """
    parts = [match_responses(goal, found, responding.spec) for found in responding.of(networks)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def matched_responses(
    goal: NetworkState[np.ndarray], networks: StackedNetworks[np.ndarray], responding: Responding
) -> Iterator[StackedNetworks[np.ndarray]]:
    """Compute responses of networks whose units are matched to given responses.

    Parameters
    ----------
    goal
        Responses (rows, units) of each layer to match.
    networks
        The n networks, arrays (n, *shape).
    responding
        Computes their responses.

    Yields
    ------
    Responses (n', rows, units) of a few networks at a time, with their units in the matched order.
    """
    for found in responding.of(networks):
        yield permute(found, responding.spec, match_responses(goal, found, responding.spec))
