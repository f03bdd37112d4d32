"""Canonicalization: a list of methods applied in order to many networks, and the proof that it changed
no function."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.canonicalization import Method, Pairing, Transfusion, WeightMatching
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.symmetry.git_rebasin import match_weights
from dwf_steps.symmetry.permutation import permute
from dwf_steps.symmetry.rescaling import normalize_incoming
from dwf_steps.symmetry.transfusion import match_attention, permute_attention

FUNCTION_TOLERANCE = 1e-6  # relative, outputs in float64
LARGEST_WEIGHT = 2.0**63  # about 9e18; float32 does not hold the squares of larger weights


@dataclass(frozen=True)
class Canonical:
    """n canonical networks and the reference treated alike, buffers included; ``sweeps`` (n,) counts those of
    the matching."""

    networks: dict[str, np.ndarray]
    reference: dict[str, np.ndarray]
    sweeps: np.ndarray


def canonicalize(
    architecture: Architecture,
    networks: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    methods: list[Method],
    barycentre: Mapping[str, np.ndarray] | None = None,
) -> Canonical:
    """Apply ``methods`` in order to n networks, arrays (n, *shape), in float64.

    What is matched are parameters; running statistics move along.

    The reference goes through the same methods, so that a later method matches like with like.

    Parameters
    ----------
    barycentre
        What the method with that target matches to, a mean of networks as the methods before leave them.
    """
    networks = _exact(networks)
    target = {name: array[None] for name, array in _exact(reference).items()}
    sweeps = np.zeros(len(next(iter(networks.values()))), dtype=int)
    for method in methods:
        if isinstance(method, WeightMatching):
            if method.target == "reference":
                goal = {name: array[0] for name, array in target.items()}
            elif barycentre is None:
                raise ValueError(
                    f"{method.method} matches to a barycentre, but none was given; find it first"
                )
            else:
                goal = _exact(barycentre)
                target, _ = _matched(architecture, goal, target, method)
            networks, taken = _matched(architecture, goal, networks, method)
            sweeps += taken
        else:
            networks = normalize_incoming(networks, architecture.rescaling_spec())
            target = normalize_incoming(target, architecture.rescaling_spec())
    return Canonical(networks, {name: array[0] for name, array in target.items()}, sweeps)


def require_moderate_weights(
    architecture: Architecture, names: list[str], networks: Mapping[str, np.ndarray]
) -> None:
    """Refuse networks, parameters (n, *shape), with weights so large that computing with them overflows.

    Raises
    ------
    InputError
        If there is one; its message names the first one's network, parameter and value.
    """
    for name, array in architecture.parameters_of(networks).items():
        moderate = np.abs(array) <= LARGEST_WEIGHT
        if not moderate.all():
            at = np.unravel_index(int(np.argmin(moderate)), array.shape)
            raise InputError(
                f"{names[at[0]]}: {name}{[int(i) for i in at[1:]]} is {array[at]:.3g}, expected at most "
                f"{LARGEST_WEIGHT:.0e} in magnitude, since float32 does not hold the square of more. Its "
                "training diverged or its file is not what it seems; remove the network, or train it with a "
                "smaller learning rate"
            )


def _exact(networks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return float64 arrays, counters as they are."""
    return {
        name: np.asarray(array, np.float64) if array.dtype.kind == "f" else array
        for name, array in networks.items()
    }


def _matched(
    architecture: Architecture,
    goal: Mapping[str, np.ndarray],
    networks: dict[str, np.ndarray],
    method: WeightMatching,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return n networks, arrays (n, *shape), permuted to match one, and the sweeps that each took."""
    spec, goal = architecture.permutation_spec(), architecture.parameters_of(goal)
    if isinstance(method, Transfusion):
        networks = align_attention(architecture, goal, networks, method.heads)
    matching = match_weights(
        goal,
        architecture.parameters_of(networks),
        spec,
        method.iterations,
        numpy_generator("git rebasin", method.seed),
    )
    return permute(networks, spec, matching.permutations), matching.sweeps


def align_attention(
    architecture: Architecture,
    reference: Mapping[str, np.ndarray],
    networks: Mapping[str, np.ndarray],
    pairing: Pairing,
) -> dict[str, np.ndarray]:
    """Return n networks, parameters (n, *shape), with all attentions' heads matched to a reference's."""
    aligned = dict(networks)
    for attention in architecture.attention_spec():
        orders = match_attention(reference, aligned, attention, pairing)
        aligned = permute_attention(aligned, attention, orders)
    return aligned


def function_change(
    architecture: Architecture,
    before: Mapping[str, np.ndarray],
    after: Mapping[str, np.ndarray],
    probe: np.ndarray,
) -> np.ndarray:
    """Return each network's largest change of an output on ``probe`` (m, features), relative to its largest
    output, computed in float64, (n,)."""
    inputs = torch.from_numpy(probe).double()
    with torch.no_grad():
        old, new = (
            architecture.forward(
                {k: torch.from_numpy(v) for k, v in _exact(networks).items()}, inputs
            ).flatten(1)
            for networks in (before, after)
        )
    # A network whose outputs are all zero must stay so: 0 / 0 counts as no change, x / 0 as infinite.
    change = (new - old).abs().amax(1)
    relative = torch.where(change == 0, 0.0, change / old.abs().amax(1))
    return relative.numpy()


def require_same_function(names: list[str], change: np.ndarray) -> None:
    """Raise `ArithmeticError` if any network's outputs changed by more than 1e-6."""
    worst = int(np.argmax(change))
    if not change[worst] <= FUNCTION_TOLERANCE:
        raise ArithmeticError(
            f"canonicalization changed the function of {int((~(change <= FUNCTION_TOLERANCE)).sum())} of "
            f"{len(names)} networks, most {names[worst]}: outputs differ by {change[worst]:.2e} relative, "
            f"expected at most {FUNCTION_TOLERANCE:.0e}. The architecture's symmetry specification does not "
            "fit its network"
        )
