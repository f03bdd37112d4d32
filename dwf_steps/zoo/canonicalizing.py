"""Networks in canonical form, with the proof that their functions stayed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.canonicalization import Method, activation_matching_of
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.function_change import function_change, require_same_function
from dwf_steps.representation.activations import UnitResponses
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import stack_states
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.canonical import remove_symmetries, require_moderate_weights

PROBE_EXAMPLES = 256


@dataclass(frozen=True)
class CanonicalNetworks:
    """n canonical networks and their reference treated alike (n = 1), in the types they are stored in.

    Attributes
    ----------
    sweeps
        Of the matching, (n,).
    function_change
        What `metrics.function_change` found, (n,), at most its tolerance.
    """

    networks: StackedNetworks[np.ndarray]
    reference: StackedNetworks[np.ndarray]
    sweeps: np.ndarray
    function_change: np.ndarray


def canonicalized(
    architecture: Architecture,
    names: Sequence[str],
    networks: StackedNetworks[np.ndarray],
    methods: list[Method],
    reference: StackedNetworks[np.ndarray],
    train: Split,
    barycentre: StackedNetworks[np.ndarray] | None = None,
) -> CanonicalNetworks:
    """Apply ``methods`` in order to n networks; compare their outputs on training inputs before and after.

    Parameters
    ----------
    networks
        Arrays (n, *shape), called ``names`` in messages.
    reference, barycentre
        What methods match to, each a single network; the second where a method matches to it.
    train
        Inputs on which functions are compared, and units respond where a method matches by that.

    Raises
    ------
    InputError
        If weights are too large to compute with.
    NumericalError
        If a network's function changed.
    """
    require_moderate_weights(architecture.layout, list(names), networks)
    matching = activation_matching_of(methods)
    canonical = remove_symmetries(
        architecture.symmetry_spec(),
        networks,
        reference.network(0),
        methods,
        barycentre.network(0) if barycentre else None,
        UnitResponses(architecture, matching, train) if matching else None,
    )
    change = function_change(architecture, networks, canonical.networks, train.inputs[:PROBE_EXAMPLES])
    require_same_function(list(names), change)
    return CanonicalNetworks(
        _stored_as(canonical.networks, networks),
        _stored_as(StackedNetworks.of_one(canonical.reference), reference),
        canonical.sweeps,
        change,
    )


def read_goal(manifest: Path) -> StackedNetworks[np.ndarray]:
    """Read the one network of a reference's or a barycentre's manifest."""
    return stack_states(Manifest.read(manifest).verified_files())


def _stored_as(
    networks: StackedNetworks[np.ndarray], stored: StackedNetworks[np.ndarray]
) -> StackedNetworks[np.ndarray]:
    """Return networks in the types of others."""
    return StackedNetworks({name: array.astype(stored[name].dtype) for name, array in networks.items()})
