"""Inputs and responses of layers, captured while networks run on probes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.dataset import PADDING
from dwf_steps.representation.layers import Layer, Normalisation
from dwf_steps.representation.tracing import Interceptor, argument, examples_first
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.stacked import StackedNetworks

OnInputs = Callable[[str, Tensor], None]


class _ReachedError(Exception):
    """Raised to end a forward pass at the step whose inputs are captured."""


def summed(values: Tensor) -> tuple[Tensor, Tensor, int]:
    """Sum values and their squares by channel.

    Parameters
    ----------
    values
        (b, c, ...).

    Returns
    -------
    Sums and sums of squares, each float64 (c,), and the number of values in each.
    """
    channels_first = values.double().movedim(1, 0).flatten(1)
    return channels_first.sum(1), channels_first.square().sum(1), channels_first.shape[1]


class Capture:
    """Captures the inputs and responses of layers of many networks that run on probes.

    Parameters
    ----------
    architecture
        That of all networks, which run in evaluation mode.
    probes
        Inputs (m, features).
    positions
        The number of output positions per probe at which layers are observed; all positions if a layer has no
        more.
    seed
        Seed of the choice of positions.
    part_of
        Of a capture of some of another's probes: the other, and which these are, (m',) bool.
    """

    def __init__(
        self,
        architecture: Architecture,
        probes: Tensor,
        positions: int,
        seed: int,
        part_of: tuple[Capture, Tensor] | None = None,
    ) -> None:
        self.architecture, self.probes = architecture, probes
        self._positions, self._seed = positions, seed
        self._places: dict[str, Tensor] = {}
        self._part_of = part_of

    def only(self, chosen: Tensor) -> Capture:
        """Return the capture of some probes at the positions observed here, given which, (m,) bool."""
        probes = self.probes[chosen]
        return Capture(self.architecture, probes, self._positions, self._seed, (self, chosen))

    def count(self, layer: Layer) -> int:
        """Return the number of observed positions per probe."""
        return min(self._positions, math.prod(layer.places))

    def rows(self, layer: Layer) -> int:
        """Return the number of observed responses of each unit, m * count."""
        return len(self.probes) * self.count(layer)

    def places(self, layer: Layer) -> Tensor:
        """Return the observed positions of each probe, integers (m, count).

        Padding is never observed. If a probe has fewer other positions, some of them are repeated.
        """
        if self._part_of is not None:
            whole, here = self._part_of
            return whole.places(layer)[here]
        if layer.weight not in self._places:
            total, count, m = math.prod(layer.places), self.count(layer), len(self.probes)
            chosen, padding = np.broadcast_to(np.arange(total), (m, total)), self._padding(layer)
            if count < total or padding.any():
                draws = numpy_generator(f"positions of {layer.weight}", self._seed)
                order = draws.random((m, total)) + padding  # padding comes last
                chosen = order.argpartition(count - 1, axis=1)[:, :count]
                places_in_turn = np.take_along_axis(order, chosen, axis=1).argsort(axis=1)
                shown = (total - padding.sum(axis=1, keepdims=True)).clip(1, count)
                in_turn = np.take_along_axis(places_in_turn, np.arange(count) % shown, axis=1)
                chosen = np.sort(np.take_along_axis(chosen, in_turn, axis=1), axis=1)
            self._places[layer.weight] = torch.from_numpy(chosen.copy()).to(self.probes.device)
        return self._places[layer.weight]

    def _padding(self, layer: Layer) -> np.ndarray:
        """Return which of a layer's positions are padding, bool (m, positions) or (m, 1)."""
        texts = isinstance(self.architecture.config, BertConfig)
        if texts and layer.places == self.architecture.input_shape:
            return (self.probes == PADDING).cpu().numpy()
        return np.zeros((len(self.probes), 1), bool)

    def inputs(self, networks: StackedNetworks[Tensor], layer: Layer, probes: slice) -> Tensor:
        """Return the inputs of a layer at the observed positions.

        Parameters
        ----------
        networks
            The n networks to run.
        layer
            The layer.
        probes
            The range of probes to run on.

        Returns
        -------
        Inputs (n, groups, rows, fan_in); for convolutions patches, channels first.
        """
        at = self.places(layer)[probes]
        return self._reach(
            networks, layer.weight, self.probes[probes], lambda values: _gather(values, layer, at)
        )

    def responses(
        self, networks: StackedNetworks[Tensor], layers: Sequence[Layer], probes: slice
    ) -> dict[str, Tensor]:
        """Return the responses of layers at the observed positions, in one pass.

        Parameters
        ----------
        networks
            The n networks to run.
        layers
            The layers.
        probes
            The range of probes to run on.

        Returns
        -------
        Responses (n, rows, units) by the layer's name.
        """
        if not layers:
            return {}
        by_weight = {layer.weight: layer for layer in layers}

        def respond(network: dict[str, Tensor]) -> dict[str, Tensor]:
            found: dict[str, Tensor] = {}

            def on_inputs(name: str, values: Tensor) -> None:
                if (layer := by_weight.get(name)) is not None:
                    rows = _gather(values, layer, self.places(layer)[probes])
                    bias = None if layer.bias is None else network[layer.bias]
                    found[layer.name] = layer.outputs(rows, network[name].flatten(1), bias)

            self._run(network, self.probes[probes], on_inputs)
            if missing := [layer.weight for layer in layers if layer.name not in found]:
                raise self._never_reached(missing[0])
            return found

        return self._many(networks, respond)

    def moments(
        self, networks: StackedNetworks[Tensor], norm: Normalisation, probes: slice
    ) -> tuple[Tensor, Tensor, int]:
        """Sum the inputs of a batch norm and their squares by channel.

        Parameters
        ----------
        networks
            The n networks to run.
        norm
            The batch norm.
        probes
            The range of probes to run on.

        Returns
        -------
        Sums and sums of squares, each float64 (n, c), and the number of values in each.
        """
        counts: list[int] = []

        def sums(values: Tensor) -> Tensor:
            total, squares, count = summed(values)
            counts.append(count)
            return torch.stack([total, squares])

        found = self._reach(networks, norm.mean, self.probes[probes], sums)
        return found[:, 0], found[:, 1], counts[0]

    def visit(self, network: dict[str, Tensor], on_inputs: OnInputs) -> None:
        """Run one network on all probes, and call a function before every step.

        Parameters
        ----------
        network
            Its parameters and buffers.
        on_inputs
            Called with the name of the step's weight, or of a batch norm's running mean, and the step's
            inputs. If it changes parameters in place, the step uses the changed ones.
        """
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            self._run(network, self.probes, on_inputs)

    def rows_of(self, values: Tensor, layer: Layer) -> Tensor:
        """Select the observed positions from all inputs of a layer, of all probes.

        Parameters
        ----------
        values
            The layer's inputs as it receives them.
        layer
            The layer.

        Returns
        -------
        Inputs (groups, rows, fan_in).
        """
        return _gather(values, layer, self.places(layer))

    def _reach(
        self,
        networks: StackedNetworks[Tensor],
        step: str,
        inputs: Tensor,
        gather: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Run n networks up to a step, and return the result of ``gather`` for its inputs."""

        def reach(network: dict[str, Tensor]) -> dict[str, Tensor]:
            found: list[Tensor] = []

            def on_inputs(name: str, values: Tensor) -> None:
                if name == step:
                    found.append(values)
                    raise _ReachedError

            with suppress(_ReachedError):
                self._run(network, inputs, on_inputs)
            if not found:
                raise self._never_reached(step)
            return {step: gather(found[0])}

        return self._many(networks, reach)[step]

    def _never_reached(self, step: str) -> InputError:
        return InputError(
            f"{self.architecture.config.called}: {step} is never reached by the probes; "
            "use the representation `weights`"
        )

    def _run(self, network: dict[str, Tensor], inputs: Tensor, on_inputs: OnInputs) -> None:
        names = {id(value): name for name, value in network.items()}

        def on_step(_kind: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            on_inputs(name, argument(args, kwargs, 0, "input", None))

        with Interceptor(names, on_step):
            self.architecture.call(network, inputs.unflatten(-1, self.architecture.input_shape))

    def _many(
        self,
        networks: StackedNetworks[Tensor],
        function: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        """Apply a function to every network, to as many at once as are fastest."""

        def run(groups: list[slice]) -> dict[str, Tensor]:
            parts = []
            for rows in groups:
                some = networks.select(rows)
                if some.count == 1:
                    found = function(some.network(0))
                    parts.append({name: value.unsqueeze(0) for name, value in found.items()})
                else:
                    parts.append(vmap(function)(dict(some)))
            return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            return self.architecture.in_groups(networks.count, networks.device, run)


def _gather(values: Tensor, layer: Layer, places: Tensor) -> Tensor:
    ordered = examples_first(values, layer.batch_axis, layer.before, len(places))
    return (_patches if layer.convolution else _tokens)(ordered, layer, places)


def _tokens(values: Tensor, layer: Layer, places: Tensor) -> Tensor:
    """Return the inputs (1, b * count, fan_in) of a linear layer, given all inputs (b, *places, fan_in)."""
    flat = values.reshape(len(places), -1, layer.fan_in)
    rows = torch.arange(len(places), device=places.device)[:, None]
    return flat[rows, places].flatten(0, 1).unsqueeze(0)


def _patches(values: Tensor, layer: Layer, places: Tensor) -> Tensor:
    """Return patches (groups, b * count, fan_in) of images (b, images, channels, *image) around positions."""
    how = layer.convolution
    assert how is not None
    sides = [side for padding in reversed(how.padding) for side in padding]
    padded = F.pad(values, sides) if any(sides) else values
    axes = len(how.kernel)
    at = torch.unravel_index(places, layer.places)  # (b, count) along each axis of the places
    image, at = (at[0], at[1:]) if len(at) > axes else (torch.zeros_like(places), at)
    example = torch.arange(len(places), device=places.device)[:, None].expand_as(places)
    index = [entry.reshape(*places.shape, *[1] * axes) for entry in (example, image)]
    for axis, (place, kernel, stride, dilation) in enumerate(
        zip(at, how.kernel, how.stride, how.dilation, strict=True)
    ):
        offsets = torch.arange(kernel, device=places.device) * dilation
        read = place[..., None] * stride + offsets  # (b, count, kernel)
        index.append(read.reshape(*places.shape, *(kernel if i == axis else 1 for i in range(axes))))
    patches = padded.movedim(2, -1)[tuple(index)]  # (b, count, *kernel, channels)
    patches = patches.unflatten(-1, (layer.groups, -1)).movedim((-2, -1), (0, 3))
    return patches.flatten(3).flatten(1, 2)
