"""Canonicalization: methods that remove symmetries, applied in order to many networks."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dwf_steps.config.canonicalization import (
    ActivationMatching,
    Matching,
    Method,
    Pairing,
    Transfusion,
    UnitMatching,
)
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.activation_matching import Responding, match_activations, required, responses_of_one
from dwf_steps.symmetry.git_rebasin import match_weights
from dwf_steps.symmetry.permutation import permute
from dwf_steps.symmetry.rescaling import normalize_incoming
from dwf_steps.symmetry.spec import Attention, SymmetrySpec
from dwf_steps.symmetry.transfusion import match_attention, permute_attention

LARGEST_SQUARABLE = 2.0**63  # about 9e18; squares of larger weights overflow float32


@dataclass(frozen=True)
class Canonical:
    """Canonical networks, buffers included.

    Attributes
    ----------
    networks
        The n networks, float64.
    reference
        The reference after the same methods.
    sweeps
        How many sweeps all matching methods together took for each network, (n,).
    """

    networks: StackedNetworks[np.ndarray]
    reference: NetworkState[np.ndarray]
    sweeps: np.ndarray


def remove_symmetries(
    spec: SymmetrySpec,
    networks: StackedNetworks[np.ndarray],
    reference: NetworkState[np.ndarray],
    methods: list[Method],
    barycentre: NetworkState[np.ndarray] | None = None,
    responding: Responding | None = None,
) -> Canonical:
    """Apply canonicalization methods in order, in float64.

    Parameters or responses are matched; running statistics are permuted along with their units. The reference
    goes through the same methods, so that later methods compare like with like.

    Parameters
    ----------
    spec
        Symmetries of the networks.
    networks
        The n networks, with arrays (n, *shape).
    reference
        The network to match to, with arrays (*shape).
    methods
        The methods to apply.
    barycentre
        The target of a method that matches to a barycentre: the mean of networks, or of responses, after the
        preceding methods. None if no method does.
    responding
        Computes responses; required by activation matching.

    Returns
    -------
    The canonical networks and reference.

    Raises
    ------
    ValueError
        If a method needs a barycentre, responses or scaling symmetries that are not given.
    """
    networks = in_float64(networks)
    target = in_float64(StackedNetworks.of_one(reference))
    sweeps = np.zeros(networks.count, dtype=int)
    for method in methods:
        if isinstance(method, UnitMatching):
            if method.target == "reference":
                goal = goal_of(method, target.network(0), responding)
            elif barycentre is None:
                raise ValueError(
                    f"{method.method} matches to a barycentre, but none was given; find it first"
                )
            else:
                goal = in_float64(StackedNetworks.of_one(barycentre)).network(0)
                target, _ = _matched(spec, goal, target, method, responding)
            networks, taken = _matched(spec, goal, networks, method, responding)
            sweeps += taken
        else:
            if spec.rescalings is None:
                raise ValueError(
                    f"{method.method} scales units, but the networks state no scaling symmetry "
                    "(`rescaling_spec`); leave it out"
                )
            networks = normalize_incoming(networks, spec.rescalings)
            target = normalize_incoming(target, spec.rescalings)
    return Canonical(networks, target.network(0), sweeps)


def require_moderate_weights(layout: Layout, names: list[str], networks: StackedNetworks[np.ndarray]) -> None:
    """Require that no weight is so large that computing with it overflows.

    Parameters
    ----------
    layout
        The networks' parameters.
    names
        Names of the n networks.
    networks
        The networks, with parameters (n, *shape).

    Raises
    ------
    InputError
        If a weight exceeds `LARGEST_SQUARABLE` in magnitude or is NaN; the message names network, parameter
        and value.
    """
    for entry in layout.entries:
        name, array = entry.name, networks[entry.name]
        moderate = np.abs(array) <= LARGEST_SQUARABLE
        if not moderate.all():
            at = np.unravel_index(int(np.argmin(moderate)), array.shape)
            raise InputError(
                f"{names[at[0]]}: {name}{[int(i) for i in at[1:]]} is {array[at]:.3g}, expected at most "
                f"{LARGEST_SQUARABLE:.0e} in magnitude, since float32 does not hold the square of more. Its "
                "training diverged or its file is wrong; remove the network, or train it with a smaller "
                "learning rate"
            )


def in_float64(networks: StackedNetworks[np.ndarray]) -> StackedNetworks[np.ndarray]:
    """Convert networks to float64.

    Parameters
    ----------
    networks
        The networks, with arrays (n, *shape).

    Returns
    -------
    The networks in float64; integer arrays, such as counters, are unchanged.
    """
    return networks.map(lambda array: np.asarray(array, np.float64) if array.dtype.kind == "f" else array)


def goal_of(
    method: Matching, network: NetworkState[np.ndarray], responding: Responding | None
) -> NetworkState[np.ndarray]:
    """Return what networks are compared with when they are matched to a given network.

    Parameters
    ----------
    method
        The matching method.
    network
        The network to match to.
    responding
        Computes responses; required by activation matching.

    Returns
    -------
    The network's responses for activation matching, else the network itself.
    """
    if isinstance(method, ActivationMatching):
        return responses_of_one(required(responding), network)
    return network


def _matched(
    spec: SymmetrySpec,
    goal: NetworkState[np.ndarray],
    networks: StackedNetworks[np.ndarray],
    method: Matching,
    responding: Responding | None,
) -> tuple[StackedNetworks[np.ndarray], np.ndarray]:
    """Permute n networks to match a goal; return them and the number of sweeps for each, (n,)."""
    if isinstance(method, ActivationMatching):
        orders = match_activations(goal, networks, required(responding))
        return permute(networks, spec.permutations, orders), np.ones(networks.count, dtype=int)
    goal = {name: goal[name] for name in spec.parameters}
    if isinstance(method, Transfusion):
        networks = align_streams(spec, goal, networks, method.iterations, method.seed)
        networks = align_attention(spec.attentions, goal, networks, method.heads)
    return _reordered(spec, goal, networks, method.iterations, method.seed)


def _reordered(
    spec: SymmetrySpec,
    goal: NetworkState[np.ndarray],
    networks: StackedNetworks[np.ndarray],
    iterations: int,
    seed: int,
) -> tuple[StackedNetworks[np.ndarray], np.ndarray]:
    """Match the units of n networks to a goal's by weights; return them and the number of sweeps for each."""
    matching = match_weights(
        goal,
        networks.only(spec.parameters),
        spec.permutations,
        iterations,
        numpy_generator("git rebasin", seed),
    )
    return permute(networks, spec.permutations, matching.permutations), matching.sweeps


def align_streams(
    spec: SymmetrySpec,
    reference: NetworkState[np.ndarray],
    networks: StackedNetworks[np.ndarray],
    iterations: int,
    seed: int,
) -> StackedNetworks[np.ndarray]:
    """Match the units that attention heads read to a reference's, by all parameters outside attentions.

    Parameters
    ----------
    spec
        Symmetries of the networks.
    reference
        The network to match to, with arrays (*shape).
    networks
        The n networks, with arrays (n, *shape).
    iterations
        The largest number of sweeps.
    seed
        Seed of the order of layers.

    Returns
    -------
    The permuted networks; the given ones if nothing permutes what heads read.
    """
    if not spec.streams_move:
        return networks
    heads = {name for attention in spec.attentions for name in attention.parameters}
    others = {
        name: np.zeros_like(reference[name]) if name in heads else reference[name] for name in reference
    }
    return _reordered(spec, others, networks, iterations, seed)[0]


def align_attention(
    attentions: Iterable[Attention],
    reference: NetworkState[np.ndarray],
    networks: StackedNetworks[np.ndarray],
    pairing: Pairing,
) -> StackedNetworks[np.ndarray]:
    """Match attention heads, and dimensions within heads, to a reference's.

    Parameters
    ----------
    attentions
        The attentions to align, one after another.
    reference
        The network to match to, with arrays (*shape).
    networks
        The n networks, with arrays (n, *shape).
    pairing
        How heads are paired: see `match_attention`.

    Returns
    -------
    The permuted networks.
    """
    aligned = networks
    for attention in attentions:
        orders = match_attention(reference, aligned, attention, pairing)
        aligned = permute_attention(aligned, attention, orders)
    return aligned
