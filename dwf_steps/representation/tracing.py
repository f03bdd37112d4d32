"""The layers of any network in execution order, and what goes into each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from dwf_steps.architectures.base import Architecture
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import numpy_generator, torch_generator
from dwf_steps.storage.stacked import NetworkState, StackedNetworks

Activation = Callable[[Tensor], Tensor]
OnStep = Callable[[str, str, tuple[Any, ...], dict[str, Any]], None]

ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "relu": F.relu,
    "relu_": F.relu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
}
"""By the name under which PyTorch calls them: elementwise functions that a next layer sees through."""
CONVOLUTIONS = {"conv1d": 1, "conv2d": 2}
UNMOVED = ("view", "reshape", "flatten", "squeeze", "contiguous", "float")
"""Functions that leave a module's output what it is."""


@dataclass(frozen=True)
class Normalisation:
    """One batch normalisation, by the names of its parameters and buffers; ``weight`` and ``bias`` are None
    where it has none."""

    weight: str | None
    bias: str | None
    mean: str
    variance: str
    epsilon: float


@dataclass(frozen=True)
class Convolution:
    """How a convolution reads its inputs, an entry for each spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One layer that is linear in its inputs.

    Attributes
    ----------
    weight, bias
        Its parameters' names; ``bias`` is None where it has none.
    units
        What it yields at one position.
    fan_in
        Inputs of one unit, without the bias.
    groups
        Groups of units, each of which reads inputs of its own.
    places
        Shape of its output positions: of a convolution its output image, of a linear layer the axes besides
        examples and features.
    batch_axis
        The axis of its inputs along which examples lie.
    convolution
        None of linear layers.
    normalisation
        The batch normalisation that reads its responses, if one alone does.
    activation
        What then follows, if it is elementwise.
    is_output
        Whether the network returns its responses.
    reads_data
        Whether its inputs are the same in every network.
    """

    weight: str
    bias: str | None
    units: int
    fan_in: int
    groups: int
    places: tuple[int, ...]
    batch_axis: int = 0
    convolution: Convolution | None = None
    normalisation: Normalisation | None = None
    activation: Activation | None = None
    is_output: bool = False
    reads_data: bool = False

    @property
    def name(self) -> str:
        """What its coordinates are called."""
        return self.weight.removesuffix("weight") + "responses"

    @property
    def parameters(self) -> tuple[str, ...]:
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def outputs(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the responses (..., rows, units) to ``inputs`` (..., groups, rows, fan_in), given
        ``weight`` (..., units, fan_in) and ``bias`` (..., units)."""
        grouped = weight.unflatten(-2, (self.groups, self.units // self.groups))
        products = (inputs @ grouped.transpose(-1, -2)).transpose(-3, -2).flatten(-2)
        return products if bias is None else products + bias.unsqueeze(-2)


Step = Layer | Normalisation


@dataclass(frozen=True)
class Trace:
    """What a network does, in order.

    Attributes
    ----------
    steps
        Layers and batch normalisations in execution order.
    kept
        Parameters that are no layer's: norms' affine parameters, embeddings, positions.
    """

    steps: tuple[Step, ...]
    kept: tuple[str, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(step for step in self.steps if isinstance(step, Layer))


class _ReachedError(Exception):
    """Raised to leave a network's forward pass at the step whose inputs were asked for."""


class _Interceptor(TorchFunctionMode):
    """Calls ``on_layer`` or ``on_norm`` before every step of a network that runs, and ``after`` behind every
    function.

    Parameters
    ----------
    names
        Parameters and buffers by ``id``.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        on_step: OnStep,
        after: Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any], None] | None = None,
    ) -> None:
        super().__init__()
        self._names, self._on_step, self._after = names, on_step, after
        self._linear = F.linear

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self._call(func, args, kwargs or {})

    def _call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = getattr(func, "__name__", "")
        if name == "multi_head_attention_forward":
            # It calls `linear` where no mode sees it.
            with patch.object(F, "linear", lambda *a, **k: self._call(self._linear, a, k)):
                return func(*args, **kwargs)
        if name == "linear" or name in CONVOLUTIONS:
            weight = args[1] if len(args) > 1 else kwargs.get("weight")
            if id(weight) in self._names:
                self._on_step(name, self._names[id(weight)], args, kwargs)
        elif name == "batch_norm":
            mean = args[1] if len(args) > 1 else kwargs.get("running_mean")
            if id(mean) in self._names:
                self._on_step(name, self._names[id(mean)], args, kwargs)
        result = func(*args, **kwargs)
        if self._after is not None:
            self._after(func, args, kwargs, result)
        return result


def _argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


class _Tracer:
    """Collects the steps of one forward pass."""

    def __init__(self, network: NetworkState[Tensor]) -> None:
        self.network = network
        self.names = {id(value): name for name, value in network.items()}
        self.steps: dict[str, dict[str, Any]] = {}
        self.inputs: dict[str, Tensor] = {}
        self.used_elsewhere: set[str] = set()
        self.twice: set[str] = set()
        self._pending: dict[int, str] = {}
        self._alive: list[Tensor] = []  # so that no id is given twice

    def run(self, architecture: Architecture, inputs: Tensor) -> Tensor:
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.enter_context(_Interceptor(self.names, self._on_step, self._after))
            outputs = architecture.call(self.network, inputs)
        if (last := self._pending.get(id(outputs))) is not None and self.steps[last]["kind"] != "batch_norm":
            self.steps[last]["is_output"] = True
        return outputs

    def _name(self, value: Any) -> str | None:
        return self.names.get(id(value)) if isinstance(value, Tensor) else None

    def _on_step(self, kind: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name in self.steps:
            self.twice.add(name)
            return
        self.steps[name] = {"kind": kind, "args": args, "kwargs": kwargs}
        self.inputs[name] = args[0].detach().clone()

    def _after(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if not isinstance(result, Tensor):
            return
        called = getattr(func, "__name__", "")
        source = self._pending.get(id(args[0])) if args else None
        if called not in (*ACTIVATIONS, *UNMOVED, "batch_norm", "linear", *CONVOLUTIONS):
            for value in (*args, *kwargs.values()):
                if (other := self._pending.get(id(value))) is not None:
                    self.steps[other]["shared"] = True
        if called == "linear" or called in CONVOLUTIONS:
            weight = self._name(_argument(args, kwargs, 1, "weight", None))
            if weight in self.steps:
                self._follow(result, weight)
                self.steps[weight]["bias"] = self._name(_argument(args, kwargs, 2, "bias", None))
                return
        if called == "batch_norm":
            norm = self._name(_argument(args, kwargs, 1, "running_mean", None))
            if source is not None and norm is not None and "normalisation" not in self.steps[source]:
                self.steps[source]["normalisation"] = norm
                self._follow(result, source)
            return
        for value in (*args, *kwargs.values()):
            if (parameter := self._name(value)) is not None:
                self.used_elsewhere.add(parameter)
        if source is None:
            return
        if called in ACTIVATIONS and "activation" not in self.steps[source]:
            stated = {name: value for name, value in kwargs.items() if name != "inplace"}
            self.steps[source]["activation"] = (
                partial(ACTIVATIONS[called], **stated) if stated else ACTIVATIONS[called]
            )
        elif called in UNMOVED:
            self._follow(result, source)

    def _follow(self, result: Tensor, source: str) -> None:
        self._pending[id(result)] = source
        self._alive.append(result)


def trace(architecture: Architecture) -> Trace:
    """Run a network once and return its layers in execution order.

    Every call of `torch.nn.functional.linear`, `conv1d` or `conv2d` with a parameter as its weight is a
    layer, whether it is a module's, an attention's projection or written out.

    Raises
    ------
    InputError
        If there is no layer, or one is called more than once.
    """
    first, second = _traced(architecture, 2, seed=0), _traced(architecture, 3, seed=1)
    called = architecture.config.called
    if first.twice:
        raise InputError(
            f"{called}: {min(first.twice)} is used more than once in one pass, so that its responses are not "
            "one set of numbers; use the representation `weights`"
        )
    found = [name for name, step in first.steps.items() if step["kind"] != "batch_norm"]
    if not found:
        raise InputError(
            f"{called}: no layer was found: nothing calls torch.nn.functional.linear, conv1d or conv2d "
            "with a parameter as its weight; use the representation `weights`"
        )
    if list(second.steps) != list(first.steps):
        raise InputError(
            f"{called}: its layers' order depends on its weights; use the representation `weights`"
        )
    steps: list[Step] = []
    norms = {
        name: _normalisation(step, name, first)
        for name, step in first.steps.items()
        if step["kind"] == "batch_norm"
    }
    for name, step in first.steps.items():
        if name in norms:
            steps.append(norms[name])
        elif name not in first.used_elsewhere:
            axis = _batch_axis(name, first.inputs[name].shape, second.inputs[name].shape)
            few, more = (tracer.inputs[name].movedim(axis, 0) for tracer in (first, second))
            same = torch.equal(few, more[: len(few)])
            steps.append(_layer(name, step, first.network[name], norms, few, axis, same))
    layers = {parameter for step in steps if isinstance(step, Layer) for parameter in step.parameters}
    kept = [entry.name for entry in architecture.layout.entries if entry.name not in layers]
    return Trace(tuple(steps), tuple(kept))


def _batch_axis(name: str, few: torch.Size, more: torch.Size) -> int:
    """Return the axis of a layer's inputs along which two examples and three differ."""
    if len(few) == len(more) and len(axes := [i for i in range(len(few)) if few[i] != more[i]]) == 1:
        axis = axes[0]
        if few[axis] * 3 == more[axis] * 2 and (axis == 0 or few[axis] == 2):
            return axis
    raise InputError(
        f"{name}: its inputs are of shape {tuple(few)} for two examples and {tuple(more)} for three, "
        "expected one axis of examples; use the representation `weights`"
    )


def _traced(architecture: Architecture, examples: int, seed: int) -> _Tracer:
    tracer = _Tracer(architecture.initial_state("default", torch_generator("trace", seed)))
    try:
        tracer.run(architecture, _examples(architecture, examples))
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{architecture.config.called}: cannot be traced ({error}); use the representation `weights`"
        ) from error
    return tracer


def _examples(architecture: Architecture, count: int) -> Tensor:
    """Return inputs (count, *input_shape) that any network accepts, the first ones the same for any count."""
    if architecture.config.kind == "bert":
        return torch.ones(count, *architecture.input_shape)
    draws = numpy_generator("trace", 0).standard_normal((count, *architecture.input_shape))
    return torch.from_numpy(draws).float()


def _normalisation(step: Mapping[str, Any], mean: str, tracer: _Tracer) -> Normalisation:
    args, kwargs = step["args"], step["kwargs"]
    names = [
        tracer._name(_argument(args, kwargs, place, key, None))
        for place, key in ((3, "weight"), (4, "bias"), (2, "running_var"))
    ]
    assert names[2] is not None
    return Normalisation(names[0], names[1], mean, names[2], _argument(args, kwargs, 7, "eps", 1e-5))


def _layer(
    name: str,
    step: Mapping[str, Any],
    weight: Tensor,
    norms: Mapping[str, Normalisation],
    inputs: Tensor,
    batch_axis: int,
    reads_data: bool,
) -> Layer:
    args, kwargs = step["args"], step["kwargs"]
    convolution, groups = None, 1
    if step["kind"] in CONVOLUTIONS:
        axes = CONVOLUTIONS[step["kind"]]
        kernel = tuple(weight.shape[2:])
        stride, dilation = (
            _each(_argument(args, kwargs, place, key, 1), axes)
            for place, key in ((3, "stride"), (5, "dilation"))
        )
        padding = _padding(_argument(args, kwargs, 4, "padding", 0), kernel, dilation, axes)
        groups = _argument(args, kwargs, 6, "groups", 1)
        convolution = Convolution(kernel, stride, padding, dilation)
        places = _output_size(inputs.shape[-axes:], convolution)
    else:
        places = tuple(inputs.unflatten(0, (2, -1)).shape[1:-1])
        places = places[1:] if places[0] == 1 else places
    return Layer(
        name,
        step.get("bias"),
        units=weight.shape[0],
        fan_in=math.prod(weight.shape[1:]),
        groups=groups,
        places=places,
        batch_axis=batch_axis,
        convolution=convolution,
        normalisation=norms[step["normalisation"]] if "normalisation" in step else None,
        activation=None if step.get("shared") else step.get("activation"),
        is_output=step.get("is_output", False),
        reads_data=reads_data,
    )


def _each(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value) * (axes if len(value) == 1 else 1)


def _padding(
    stated: str | int | Sequence[int], kernel: tuple[int, ...], dilation: tuple[int, ...], axes: int
) -> tuple[tuple[int, int], ...]:
    if stated == "valid":
        return ((0, 0),) * axes
    if stated == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    assert not isinstance(stated, str)
    return tuple((size, size) for size in _each(stated, axes))


def _output_size(image: Sequence[int], convolution: Convolution) -> tuple[int, ...]:
    return tuple(
        (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1
        for size, padding, dilation, kernel, stride in zip(
            image,
            convolution.padding,
            convolution.dilation,
            convolution.kernel,
            convolution.stride,
            strict=True,
        )
    )


class Capture:
    """What goes into the steps of many networks, and what layers respond, when they are run on probes.

    Parameters
    ----------
    architecture
        Of all networks; in evaluation mode.
    probes
        (m, features).
    positions
        Output positions of a layer that are looked at, of each probe; all where there are no more.
    seed
        Chooses them.
    """

    def __init__(self, architecture: Architecture, probes: Tensor, positions: int, seed: int) -> None:
        self.architecture, self.probes = architecture, probes
        self._positions, self._seed = positions, seed
        self._places: dict[str, Tensor] = {}

    def count(self, layer: Layer) -> int:
        """Return how many positions of each probe are looked at."""
        return min(self._positions, math.prod(layer.places))

    def rows(self, layer: Layer) -> int:
        """Return the number of responses of each unit, m * count."""
        return len(self.probes) * self.count(layer)

    def places(self, layer: Layer) -> Tensor:
        """Return which positions of each probe are looked at, numbered (m, count)."""
        if layer.weight not in self._places:
            total, count, m = math.prod(layer.places), self.count(layer), len(self.probes)
            chosen = np.broadcast_to(np.arange(total), (m, total))
            if count < total:
                draws = numpy_generator(f"positions of {layer.weight}", self._seed)
                chosen = np.sort(draws.random((m, total)).argpartition(count, axis=1)[:, :count], axis=1)
            self._places[layer.weight] = torch.from_numpy(chosen.copy()).to(self.probes.device)
        return self._places[layer.weight]

    def inputs(self, networks: StackedNetworks[Tensor], layer: Layer, probes: slice) -> Tensor:
        """Return what goes into a layer of n networks at the positions that are looked at.

        Returns
        -------
        Tensor (n, groups, rows, fan_in): of convolutions the patches, channels first.
        """
        at = self.places(layer)[probes]
        return self._reach(
            networks, layer.weight, self.probes[probes], lambda values: _gather(values, layer, at)
        )

    def responses(
        self, networks: StackedNetworks[Tensor], layers: Sequence[Layer], probes: slice
    ) -> dict[str, Tensor]:
        """Return the responses (n, rows, units) of layers of n networks, by layers' names, in one pass."""
        by_weight = {layer.weight: layer for layer in layers}

        def respond(network: dict[str, Tensor]) -> dict[str, Tensor]:
            found: dict[str, Tensor] = {}

            def on_step(_kind: str, name: str, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
                if (layer := by_weight.get(name)) is not None:
                    values = _gather(args[0], layer, self.places(layer)[probes])
                    bias = None if layer.bias is None else network[layer.bias]
                    found[layer.name] = layer.outputs(values, network[name].flatten(1), bias)

            self._run(network, self.probes[probes], on_step)
            return found

        return self._many(networks, respond)

    def moments(
        self, networks: StackedNetworks[Tensor], norm: Normalisation, probes: slice
    ) -> tuple[Tensor, Tensor, int]:
        """Return sums (n, c) and sums of squares of what goes into a batch normalisation, in float64, and how
        many values each is of."""
        values = self._reach(
            networks, norm.mean, self.probes[probes], lambda values: values.unsqueeze(2).flatten(2).double()
        )
        values = values.flatten(3)
        return values.sum((1, 3)), values.square().sum((1, 3)), values.shape[1] * values.shape[3]

    def _reach(
        self,
        networks: StackedNetworks[Tensor],
        step: str,
        inputs: Tensor,
        gather: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Run n networks up to a step and return what ``gather`` makes of its inputs."""

        def reach(network: dict[str, Tensor]) -> Tensor:
            found: list[Tensor] = []

            def on_step(_kind: str, name: str, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
                if name == step:
                    found.append(args[0])
                    raise _ReachedError

            with suppress(_ReachedError):
                self._run(network, inputs, on_step)
            return gather(found[0])

        reached: Tensor = self._many(networks, reach)
        return reached

    def _run(self, network: dict[str, Tensor], inputs: Tensor, on_step: OnStep) -> None:
        names = {id(value): name for name, value in network.items()}
        with _Interceptor(names, on_step):
            self.architecture.call(network, inputs.unflatten(-1, self.architecture.input_shape))

    def _many(self, networks: StackedNetworks[Tensor], function: Callable[[dict[str, Tensor]], Any]) -> Any:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            if networks.count == 1:
                found = function(networks.network(0))
                if isinstance(found, Tensor):
                    return found.unsqueeze(0)
                return {name: value.unsqueeze(0) for name, value in found.items()}
            return vmap(function)(dict(networks))


def _gather(values: Tensor, layer: Layer, places: Tensor) -> Tensor:
    examples_first = values.movedim(layer.batch_axis, 0)
    return (_patches if layer.convolution else _tokens)(examples_first, layer, places)


def _tokens(values: Tensor, layer: Layer, places: Tensor) -> Tensor:
    """Return inputs (1, b * count, fan_in) of a linear layer, of inputs (b, *places, fan_in)."""
    flat = values.reshape(len(places), -1, layer.fan_in)
    rows = torch.arange(len(places), device=places.device)[:, None]
    return flat[rows, places].flatten(0, 1).unsqueeze(0)


def _patches(values: Tensor, layer: Layer, places: Tensor) -> Tensor:
    """Return the patches (groups, b * count, fan_in) of images (b, channels, *image) around positions."""
    how = layer.convolution
    assert how is not None
    sides = [side for padding in reversed(how.padding) for side in padding]
    padded = F.pad(values, sides) if any(sides) else values
    index: list[Tensor] = []
    axes = torch.unravel_index(places, layer.places)
    for axis, (place, kernel, stride, dilation) in enumerate(
        zip(axes, how.kernel, how.stride, how.dilation, strict=True)
    ):
        offsets = torch.arange(kernel, device=places.device) * dilation
        at = place[..., None] * stride + offsets  # (b, count, kernel)
        shape = [*place.shape, *(kernel if other == axis else 1 for other in range(len(how.kernel)))]
        index.append(at.reshape(shape))
    batch = torch.arange(len(places), device=places.device).reshape(-1, *([1] * (1 + len(how.kernel))))
    channels_last = padded.movedim(1, -1)
    patches = channels_last[(batch, *index)]  # (b, count, *kernel, channels)
    patches = patches.unflatten(-1, (layer.groups, -1)).movedim((-2, -1), (0, 3))
    return patches.flatten(3).flatten(1, 2)
