"""What the units of many networks respond to probes, by which they are matched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.canonicalization import ActivationMatching
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.layers import Layer, Normalisation, Trace
from dwf_steps.representation.responses import all_responses, response_groups
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.spec import Axis, PermutationSpec, named_in, unit_counts

ASIDE = 2.0**-10
"""Scale of pre-activations beside activations: units that an activation leaves alike, such as those of which
a ReLU leaves nothing on any probe, are told apart, at the cost of a millionth of the distances compared."""
CONSTANT_SHARE = 1e-6  # of a unit's root mean square response; if it varies less, that is rounding
INSTEAD = ("the representation `weights`", "the canonicalization git_rebasin, which compares weights")


class UnitResponses:
    """What layers respond whose outputs are interchangeable units: `symmetry.activation_matching.Responding`.

    A layer that a batch normalisation follows responds what that makes of it, with the network's own running
    statistics. Activations are followed by `ASIDE` times their pre-activations, as further rows. Networks are
    run in float32.

    Parameters
    ----------
    architecture
        Of all networks.
    method
        Says which responses are compared, on what and how.
    train
        The training examples that probes are chosen from.

    Raises
    ------
    InputError
        If there are fewer training examples than probes, the architecture cannot be traced, or no layer that
        is found yields the units of a permutation.
    """

    def __init__(self, architecture: Architecture, method: ActivationMatching, train: Split) -> None:
        probes = torch.from_numpy(choose_probes(train, method.probes, method.seed).inputs)
        self._method = method
        self._capture = Capture(architecture, probes, method.positions, method.seed)
        self._permutations = architecture.permutation_spec()
        self._layers = layers_of_units(architecture)
        self.spec: PermutationSpec = {layer.name: (None, self._units(layer)) for layer in self._layers}

    def of(self, networks: StackedNetworks[np.ndarray]) -> Iterator[StackedNetworks[np.ndarray]]:
        """Yield the responses (n, rows, units), in float32, of as many networks at a time as fit, in order.

        With the measure `correlation` every unit's have mean zero and unit norm, so that half their squared
        distance is one minus their correlation; those of a unit that does not vary are zero.

        Raises
        ------
        InputError
            If a response is not finite.
        """
        tensors = networks.map(
            lambda array: array.astype(np.float32) if array.dtype.kind == "f" else array
        ).tensors()
        for rows, some in response_groups(self._capture, Trace(tuple(self._layers), ()), tensors):
            with naming_git_rebasin():
                found = all_responses(self._capture, self._layers, some)
            for name, responses in found.items():
                finite = responses.isfinite().flatten(1).all(1)
                if not finite.all():
                    row = rows.start + int(finite.int().argmin())
                    raise InputError(
                        f"{name}: network {row} (from 0) of the {networks.count} that are matched together "
                        "does not respond finite numbers to all probes; its weights overflow float32 on "
                        "training inputs: leave it out of the zoo, or use git_rebasin"
                    )
            compared = {
                layer.name: self._compared(found.pop(layer.name), layer, some) for layer in self._layers
            }
            yield StackedNetworks(compared).numpy()

    def _units(self, layer: Layer) -> Axis:
        return self._permutations[layer.weight][0]

    def _compared(self, responses: Tensor, layer: Layer, networks: StackedNetworks[Tensor]) -> Tensor:
        norm = layer.normalisation
        if norm is not None and self._permutations.get(norm.mean) == (self._units(layer),):
            responses = normalised(responses, norm, networks)
        parts = [responses]
        if self._method.compare == "activations" and layer.activation is not None:
            parts = [layer.activation(responses), responses]
        if self._method.measure == "correlation":
            parts = [standardised(part) for part in parts]
        return torch.cat([parts[0], *(ASIDE * part for part in parts[1:])], dim=1)


def layers_of_units(architecture: Architecture) -> list[Layer]:
    """Return the layers whose outputs are units that may be permuted, in execution order.

    Raises
    ------
    InputError
        If the architecture cannot be traced, or no layer that is found yields the units of a permutation.
    """
    spec = architecture.permutation_spec()
    with naming_git_rebasin():
        # Of a layer whose units two permutations order, neither has a best choice of its own.
        layers = [layer for layer in trace(architecture).layers if len(named_in(spec[layer.weight][0])) == 1]
    shapes = {entry.name: entry.shape for entry in architecture.layout.entries}
    yielded = {permutation for layer in layers for permutation in named_in(spec[layer.weight][0])}
    for permutation in unit_counts(shapes, {name: spec[name] for name in shapes}):
        if permutation not in yielded:
            raise InputError(
                f"{architecture.config.called}: no layer was found that yields the units of {permutation}: "
                "nothing calls torch.nn.functional.linear, conv1d or conv2d with a weight whose first axis "
                "it permutes; use git_rebasin, which compares weights"
            )
    return layers


def normalised(responses: Tensor, norm: Normalisation, networks: StackedNetworks[Tensor]) -> Tensor:
    """Return what a batch normalisation makes of responses (n, rows, units), with running statistics."""
    mean, variance = (networks[name].unsqueeze(1) for name in (norm.mean, norm.variance))
    found = (responses - mean) / (variance + norm.epsilon).sqrt()
    if norm.weight is not None:
        found = found * networks[norm.weight].unsqueeze(1)
    return found if norm.bias is None else found + networks[norm.bias].unsqueeze(1)


def standardised(responses: Tensor) -> Tensor:
    """Return responses (n, rows, units), each unit's with mean zero and unit norm; zero where they do not
    vary."""
    exact = responses.double()
    centred = exact - exact.mean(dim=1, keepdim=True)
    size, whole = (values.norm(dim=1, keepdim=True) for values in (centred, exact))
    return torch.where(size > CONSTANT_SHARE * whole, centred / size, 0.0).float()


@contextmanager
def naming_git_rebasin() -> Iterator[None]:
    """Let errors of tracing name what to use instead of this method."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(*INSTEAD)) from error
