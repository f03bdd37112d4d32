"""TransFusion: match attention heads, then their dimensions (Rinaldi et al. 2025, arXiv 2505.22697)."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from dwf_steps.config.canonicalization import Pairing
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.permutation import permute_axis
from dwf_steps.symmetry.spec import Attention, Projection


@dataclass(frozen=True)
class HeadOrders:
    """The rows of projections that move to each place, for n networks. Heads move as a whole.

    Attributes
    ----------
    query_key
        Rows of the query and key projections, (n, width).
    value
        Rows of the value projection and columns of the output projection, (n, width).
    """

    query_key: np.ndarray
    value: np.ndarray


def match_attention(
    reference: NetworkState[np.ndarray],
    networks: StackedNetworks[np.ndarray],
    attention: Attention,
    pairing: Pairing,
) -> HeadOrders:
    """Find the order of heads, and of dimensions within heads, that brings networks closest to a reference.

    A head's scores are inner products of queries and keys, so one permutation acts on both. Its contribution
    to the output is a product of output columns and values, on which another one acts. If the residual stream
    is fixed, attentions are independent of each other, and for a given pair of heads both permutations are
    linear assignments. Heads are paired by an assignment, too. Its cost is, for ``spectra``, the summed
    Euclidean distances between the singular values of their query, key and value projections, which do not
    depend on the order within heads (the paper's choice). For ``weights``, the assignment maximises the inner
    product with the reference under the best orders within each pair, so the result is optimal.

    Parameters
    ----------
    reference
        One network's parameters, (*shape), in float64.
    networks
        The n networks' parameters, (n, *shape), in float64.
    attention
        Names of the attention's parameters.
    pairing
        How heads are paired, ``spectra`` or ``weights``.

    Returns
    -------
    The rows that move to each place.
    """
    one = StackedNetworks.of_one(reference)
    wanted = [_heads(one, part, attention)[0] for part in _parts(attention)]
    found = [_heads(networks, part, attention) for part in _parts(attention)]
    wanted_output, found_output = (
        _output_heads(one[attention.output], attention)[0],
        _output_heads(networks[attention.output], attention),
    )
    n, heads, size = found[0].shape[:3]
    if pairing == "spectra":
        chosen = np.stack([linear_sum_assignment(cost)[1] for cost in _spectral_distances(wanted, found)])
        index = chosen[:, :, None, None]
        found = [np.take_along_axis(array, index, 1) for array in found]
        found_output = np.take_along_axis(found_output, index, 1)
        gains = _gains("haf,nhbf->nhab", wanted, wanted_output, found, found_output)
    else:
        every = _gains("haf,nkbf->nhkab", wanted, wanted_output, found, found_output)
        best = [_best_gains([gain[i] for gain in every]) for i in range(n)]
        chosen = np.stack([linear_sum_assignment(gain, maximize=True)[1] for gain in best])
        gains = [np.take_along_axis(gain, chosen[:, :, None, None, None], 2)[:, :, 0] for gain in every]
    orders = []
    for gain in gains:
        within = [[linear_sum_assignment(own, maximize=True)[1] for own in network] for network in gain]
        orders.append((chosen[:, :, None] * size + np.array(within)).reshape(n, heads * size))
    return HeadOrders(*orders)


def _gains(
    pairs: str,
    wanted: list[np.ndarray],
    wanted_output: np.ndarray,
    found: list[np.ndarray],
    found_output: np.ndarray,
) -> list[np.ndarray]:
    """Return the gains of moving dimension b of a head to a: of queries and keys, of values and outputs."""
    query, key, value = (np.einsum(pairs, w, f, optimize=True) for w, f in zip(wanted, found, strict=True))
    return [query + key, value + np.einsum(pairs, wanted_output, found_output, optimize=True)]


def permute_attention(
    networks: StackedNetworks[np.ndarray], attention: Attention, orders: HeadOrders
) -> StackedNetworks[np.ndarray]:
    """Reorder an attention's heads and dimensions within heads.

    Parameters
    ----------
    networks
        The n networks, with parameters (n, *shape).
    attention
        Names of the attention's parameters.
    orders
        The rows that move to each place.

    Returns
    -------
    The permuted networks.
    """
    result = StackedNetworks(networks)
    width = orders.value.shape[1]
    for part, order in zip(
        _parts(attention), (orders.query_key, orders.query_key, orders.value), strict=True
    ):
        rows = slice(part.first, part.first + width)
        for name in (part.weight, part.bias):
            array = result[name].copy()
            array[:, rows] = permute_axis(array[:, rows], 0, order)
            result[name] = array
    result[attention.output] = permute_axis(result[attention.output], 1, orders.value)
    return result


def _parts(attention: Attention) -> tuple[Projection, Projection, Projection]:
    return attention.query, attention.key, attention.value


def _heads(networks: StackedNetworks[np.ndarray], part: Projection, attention: Attention) -> np.ndarray:
    """Return a projection's rows with their biases by head, (n, heads, size, inputs + 1)."""
    width = networks[attention.output].shape[2]
    rows = slice(part.first, part.first + width)
    whole = np.concatenate([networks[part.weight][:, rows], networks[part.bias][:, rows, None]], axis=2)
    return whole.reshape(len(whole), attention.heads, width // attention.heads, -1)


def _output_heads(weight: np.ndarray, attention: Attention) -> np.ndarray:
    """Return the output projection's columns by head, (n, heads, size, outputs)."""
    n, outputs, width = weight.shape
    return weight.transpose(0, 2, 1).reshape(n, attention.heads, width // attention.heads, outputs)


def _spectral_distances(wanted: list[np.ndarray], found: list[np.ndarray]) -> np.ndarray:
    """Return the summed distances between singular values, (n, heads, heads), without biases."""
    total: np.ndarray | float = 0.0
    for one, many in zip(wanted, found, strict=True):
        target = torch.linalg.svdvals(torch.from_numpy(one[..., :-1])).numpy()
        spectra = torch.linalg.svdvals(torch.from_numpy(many[..., :-1])).numpy()
        total = total + np.linalg.norm(target[None, :, None] - spectra[:, None, :], axis=-1)
    return np.asarray(total)


def _best_gains(gains: list[np.ndarray]) -> np.ndarray:
    """Return the gains (heads, heads) of the best orders within each pair of heads.

    Parameters
    ----------
    gains
        Gains of dimensions, each (heads, heads, size, size).
    """
    best = np.zeros(gains[0].shape[:2])
    for gain in gains:
        for place, head in np.ndindex(best.shape):
            rows, columns = linear_sum_assignment(gain[place, head], maximize=True)
            best[place, head] += gain[place, head][rows, columns].sum()
    return best
