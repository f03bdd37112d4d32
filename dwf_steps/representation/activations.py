"""Responses of the units of many networks to probes, for activation matching."""

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
"""Scale of pre-activations that are appended to activations. They distinguish units with equal activations,
such as ReLU units that are off on all probes, and contribute a millionth to squared distances."""
CONSTANT_SHARE = 1e-6  # of a unit's root mean square response; smaller variations are rounding errors
INSTEAD = ("the representation `weights`", "the canonicalization git_rebasin, which compares weights")


class UnitResponses:
    """Responses of layers whose units may be permuted; implements `symmetry.activation_matching.Responding`.

    If batch norm follows a layer, its responses are those after batch norm with the network's own running
    statistics. Activations are followed by `ASIDE` times their pre-activations, as further rows. Networks run
    in float32.

    Parameters
    ----------
    architecture
        That of all networks.
    method
        The probes and positions, the responses to compare, and the measure.
    train
        The training examples to choose probes from.

    Raises
    ------
    InputError
        If there are fewer training examples than probes, the architecture cannot be traced, or no layer was
        found that outputs the units of a permutation.
    """

    def __init__(self, architecture: Architecture, method: ActivationMatching, train: Split) -> None:
        probes = torch.from_numpy(choose_probes(train, method.probes, method.seed).inputs)
        self._method = method
        self._capture = Capture(architecture, probes, method.positions, method.seed)
        self._permutations = architecture.permutation_spec()
        self._layers = layers_of_units(architecture)
        self.spec: PermutationSpec = {layer.name: (None, self._units(layer)) for layer in self._layers}

    def of(self, networks: StackedNetworks[np.ndarray]) -> Iterator[StackedNetworks[np.ndarray]]:
        """Yield the responses (n', rows, units), float32, of as many networks at a time as fit, in order.

        With the measure `correlation`, every unit's responses have mean zero and unit norm, so that half
        their squared distance is one minus their correlation; responses that do not vary become zero.

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
                        "has responses that are not finite; its weights overflow float32 on training inputs: "
                        "leave it out of the zoo, or use git_rebasin"
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
    """Find the layers that output units which may be permuted.

    Parameters
    ----------
    architecture
        That of all networks.

    Returns
    -------
    The layers, in execution order.

    Raises
    ------
    InputError
        If the architecture cannot be traced, or no layer was found that outputs the units of a permutation.
    """
    spec = architecture.permutation_spec()
    with naming_git_rebasin():
        # If two permutations act on a layer's units, neither can be chosen independently of the other.
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
    """Apply a batch norm with running statistics to responses.

    Parameters
    ----------
    responses
        (n, rows, units).
    norm
        The batch norm.
    networks
        The n networks, with running statistics.

    Returns
    -------
    Normalised responses, (n, rows, units).
    """
    mean, variance = (networks[name].unsqueeze(1) for name in (norm.mean, norm.variance))
    found = (responses - mean) / (variance + norm.epsilon).sqrt()
    if norm.weight is not None:
        found = found * networks[norm.weight].unsqueeze(1)
    return found if norm.bias is None else found + networks[norm.bias].unsqueeze(1)


def standardised(responses: Tensor) -> Tensor:
    """Give each unit's responses mean zero and unit norm.

    Parameters
    ----------
    responses
        (n, rows, units).

    Returns
    -------
    Standardised responses, float32 (n, rows, units); zero for units that do not vary.
    """
    exact = responses.double()
    centred = exact - exact.mean(dim=1, keepdim=True)
    size, whole = (values.norm(dim=1, keepdim=True) for values in (centred, exact))
    return torch.where(size > CONSTANT_SHARE * whole, centred / size, 0.0).float()


@contextmanager
def naming_git_rebasin() -> Iterator[None]:
    """Let errors of tracing recommend git_rebasin instead of another representation.

    Yields
    ------
    Nothing.

    Raises
    ------
    InputError
        If the block raises one.
    """
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(*INSTEAD)) from error
