"""Response coordinates of networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from dwf_steps.representation.capture import Capture
from dwf_steps.representation.layers import Layer, Trace
from dwf_steps.representation.sketch import Sketch, test_matrix
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.stacked import StackedNetworks

RESPONSES_BYTES = 2**27  # of layers' responses to the probes that are run at the same time


@dataclass(frozen=True)
class ResponseBasis:
    """An orthonormal basis of every layer's responses.

    Attributes
    ----------
    trace
        The layers.
    shapes
        Shapes of the architecture's parameters.
    functions
        By the layer's name: response functions, evaluated at the rows of `Capture`, float64 (rows, r).
    """

    trace: Trace
    shapes: Mapping[str, tuple[int, ...]]
    functions: Mapping[str, Tensor]

    @cached_property
    def layout(self) -> Layout:
        """Layout of the coordinates: (units, r) for each layer in execution order, then kept parameters."""
        layers = {
            layer.name: (layer.units, self.functions[layer.name].shape[1]) for layer in self.trace.layers
        }
        return Layout.of(layers | {name: self.shapes[name] for name in self.trace.kept})

    def only(self, chosen: Tensor) -> ResponseBasis:
        """Return the functions at the rows of some probes, given which, (m,) bool.

        They are scaled such that coordinates describe the responses that they describe here.
        """
        scale = (len(chosen) / int(chosen.sum())) ** 0.5
        functions = {
            name: scale * values.unflatten(0, (len(chosen), -1))[chosen].flatten(0, 1)
            for name, values in self.functions.items()
        }
        return replace(self, functions=functions)


class Sketches:
    """Sketches of the responses of all layers whose inputs differ between networks.

    Parameters
    ----------
    capture
        Runs networks on the probes.
    trace
        The layers.
    functions
        The largest number of response functions per layer.
    seed
        Seed of the sketches.
    """

    def __init__(self, capture: Capture, trace: Trace, functions: int, seed: int) -> None:
        self._capture, self._trace, self._functions = capture, trace, functions
        self.layers = [layer for layer in trace.layers if not layer.reads_data]
        device = capture.probes.device
        self._tests = {
            layer.name: test_matrix(capture.rows(layer), functions, layer.name, seed).to(device)
            for layer in self.layers
        }
        self.sketches = {name: Sketch(torch.zeros_like(test)) for name, test in self._tests.items()}

    def add(self, networks: StackedNetworks[Tensor], names: Sequence[str] | None = None) -> None:
        """Add the responses of networks, running a few at a time.

        Parameters
        ----------
        networks
            The networks, any number of them.
        names
            Names of the networks, for messages.

        Raises
        ------
        InputError
            If a response is not finite.
        """
        for rows, some in response_groups(self._capture, self._trace, networks):
            for name, responses in all_responses(self._capture, self.layers, some).items():
                _refuse_infinite(responses, name, rows.start, names)
                self.sketches[name].add(responses, self._tests[name])

    def basis(self, shapes: Mapping[str, tuple[int, ...]], network: StackedNetworks[Tensor]) -> ResponseBasis:
        """Compute the response basis.

        The functions of layers that read the data span all of their possible responses, for any weights.

        Parameters
        ----------
        shapes
            Shapes of the architecture's parameters.
        network
            Any network, stacked (n = 1).
        """
        functions = {}
        for layer in self._trace.layers:
            if layer.reads_data:
                functions[layer.name] = principal_functions(self._capture, layer, network)
            else:
                sketch, test = self.sketches[layer.name], self._tests[layer.name]
                functions[layer.name] = sketch.leading(test, self._functions)
        return ResponseBasis(self._trace, shapes, functions)


def principal_functions(capture: Capture, layer: Layer, network: StackedNetworks[Tensor]) -> Tensor:
    """Compute an orthonormal basis of a layer's possible responses to its inputs, for any weights.

    It consists of the left singular vectors of the inputs, with a column of ones if there is a bias: the
    principal components of the data.

    Parameters
    ----------
    capture
        Runs networks on the probes.
    layer
        A layer that reads the data.
    network
        Any network, stacked (n = 1).

    Returns
    -------
    The functions by decreasing variance of the inputs, float64 (rows, r).
    """
    inputs = torch.cat(all_inputs(capture, layer, network), dim=2)[0].double()
    side_by_side = layer.with_ones(inputs).transpose(0, 1).flatten(1)
    values, vectors = torch.linalg.eigh(side_by_side.T @ side_by_side)
    spanned = values > values.max().clamp(min=0) * len(values) * torch.finfo(torch.float64).eps
    values, vectors = values[spanned].flip(0), vectors[:, spanned].flip(1)
    return torch.linalg.qr(side_by_side @ (vectors / values.sqrt()))[0]


def probe_blocks(capture: Capture, networks: int) -> list[slice]:
    """Divide the probes into ranges on which networks run at the same time.

    Parameters
    ----------
    capture
        The probes.
    networks
        The number of networks that run at the same time.

    Returns
    -------
    The ranges, in order.
    """
    m = len(capture.probes)
    step = max(1, RESPONSES_BYTES // (4 * networks * capture.architecture.widest))
    return [slice(start, min(start + step, m)) for start in range(0, m, step)]


def all_inputs(capture: Capture, layer: Layer, networks: StackedNetworks[Tensor]) -> list[Tensor]:
    """Compute the inputs of a layer for all probes.

    Parameters
    ----------
    capture
        Runs the networks on the probes.
    layer
        The layer.
    networks
        The n networks.

    Returns
    -------
    Inputs in consecutive ranges of rows, each (n, groups, rows, fan_in).
    """
    return [capture.inputs(networks, layer, probes) for probes in probe_blocks(capture, networks.count)]


def response_groups(
    capture: Capture, trace: Trace, networks: StackedNetworks[Tensor]
) -> Iterator[tuple[slice, StackedNetworks[Tensor]]]:
    """Divide networks into groups whose responses fit into memory.

    Parameters
    ----------
    capture
        The probes.
    trace
        The layers.
    networks
        The networks.

    Yields
    ------
    The rows of a group, and its networks.
    """
    values = sum(capture.rows(layer) * layer.units for layer in trace.layers)
    yield from networks.chunks(max(1, RESPONSES_BYTES // (4 * values)))


def all_responses(
    capture: Capture, layers: list[Layer], networks: StackedNetworks[Tensor]
) -> dict[str, Tensor]:
    """Compute the responses of layers to all probes.

    Parameters
    ----------
    capture
        Runs networks on the probes.
    layers
        The layers.
    networks
        The n networks.

    Returns
    -------
    Responses (n, rows, units) by the layer's name.
    """
    parts = [capture.responses(networks, layers, probes) for probes in probe_blocks(capture, networks.count)]
    return {layer.name: torch.cat([part[layer.name] for part in parts], dim=1) for layer in layers}


def _refuse_infinite(responses: Tensor, layer: str, first: int, names: Sequence[str] | None) -> None:
    """Require that the responses (n, rows, units) of networks ``first``, ``first + 1``, ... are finite."""
    finite = responses.isfinite().flatten(1).all(1)
    if not finite.all():
        row = int((~finite).nonzero()[0])
        found = responses[row][~responses[row].isfinite()][0].item()
        name = names[first + row] if names else f"network {first + row}"
        raise InputError(
            f"{layer}: {name} responds {found} to a probe, expected finite numbers; "
            "its weights overflow float32 on training inputs: leave it out of the zoo, or use the "
            "representation `weights`"
        )


def encode(
    capture: Capture,
    basis: ResponseBasis,
    networks: StackedNetworks[Tensor],
    names: Sequence[str] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the response coordinates of networks.

    The coordinates of a layer are ``B' Z / sqrt(rows)``, with its responses Z (rows, units) and the basis B
    (rows, r). Their squares sum to the mean over rows of the squared responses, summed over units, up to the
    part that the basis does not span.

    Parameters
    ----------
    capture
        Runs networks on the probes.
    basis
        The response functions of every layer.
    networks
        The n networks.
    names
        Names of the networks, for messages.

    Returns
    -------
    Coordinates (n, d') as laid out by `ResponseBasis.layout`, and by the layer's name the share of the sum of
    squared responses that lies in the span of the basis, (n,).

    Raises
    ------
    InputError
        If a response is not finite.
    """
    coded: list[Tensor] = []
    kept: dict[str, list[Tensor]] = {layer.name: [] for layer in basis.trace.layers}
    for rows, some in response_groups(capture, basis.trace, networks):
        parts = []
        for name, responses in all_responses(capture, list(basis.trace.layers), some).items():
            _refuse_infinite(responses, name, rows.start, names)
            functions, exact = basis.functions[name], responses.double()
            products = exact.transpose(1, 2) @ functions
            total = exact.square().sum((1, 2))
            kept[name].append(torch.where(total > 0, products.square().sum((1, 2)) / total, 1.0))
            parts.append((products / len(functions) ** 0.5).flatten(1))
        parts += [some[name].flatten(1) for name in basis.trace.kept]
        coded.append(torch.cat(parts, dim=1))
    return torch.cat(coded), {name: torch.cat(shares) for name, shares in kept.items()}
