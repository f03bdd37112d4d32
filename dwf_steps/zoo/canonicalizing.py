"""Canonicalization of networks, with a check that their functions are preserved."""

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

PROBE_EXAMPLES = 256  # training inputs on which outputs are compared


@dataclass(frozen=True)
class CanonicalNetworks:
    """n canonical networks, and their canonical reference.

    Attributes
    ----------
    networks
        The networks, in the data types of the originals.
    reference
        The reference, a single network.
    sweeps
        Number of sweeps of the matching for each network, (n,).
    function_change
        Relative change of the outputs, (n,), as `metrics.function_change` measures it.
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
    """Canonicalize n networks, and check that their outputs on training inputs are preserved.

    Parameters
    ----------
    architecture
        The networks' architecture.
    names
        The networks' names, for messages.
    networks
        Arrays (n, *shape).
    methods
        Canonicalization methods, applied in order.
    reference
        The network that others are aligned to, a stack of one.
    train
        Training examples: outputs are compared on their inputs, and activations are matched on them.
    barycentre
        The barycentre, a stack of one, if a method aligns to it.

    Returns
    -------
    The canonical networks.

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
    """Read the network that others are aligned to.

    Parameters
    ----------
    manifest
        The manifest of a reference or a barycentre.

    Returns
    -------
    A stack of one network.
    """
    return stack_states(Manifest.read(manifest).verified_files())


def _stored_as(
    networks: StackedNetworks[np.ndarray], stored: StackedNetworks[np.ndarray]
) -> StackedNetworks[np.ndarray]:
    """Convert networks to the data types of others."""
    return StackedNetworks({name: array.astype(stored[name].dtype) for name, array in networks.items()})
