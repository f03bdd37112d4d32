"""The layers of any network in execution order, and what goes into each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
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
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.dataset import PADDING
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.plugins import describe
from dwf_steps.runtime.randomness import numpy_generator, torch_generator
from dwf_steps.storage.stacked import NetworkState, StackedNetworks

Elementwise = Callable[[Tensor], Tensor]
OnStep = Callable[[str, str, tuple[Any, ...], dict[str, Any]], None]
OnInputs = Callable[[str, Tensor], None]

ELEMENTWISE: dict[str, Callable[..., Tensor]] = {
    "relu": F.relu,
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
UNMOVED = ("view", "reshape", "flatten", "squeeze", "contiguous", "float", "dropout")
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
        Shape of its output positions of one example: of a convolution its output image, after the number of
        images where there are several; of a linear layer the axes besides examples and features.
    batch_axis
        The axis of its inputs along which examples lie.
    before
        Positions along that axis for each of which all examples follow one another: 1 where the axis holds
        examples alone, or examples first.
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
    before: int = 1
    convolution: Convolution | None = None
    normalisation: Normalisation | None = None
    activation: Elementwise | None = None
    is_output: bool = False
    reads_data: bool = False

    @property
    def name(self) -> str:
        """What its coordinates are called."""
        return self.weight.removesuffix("weight") + "responses"

    @property
    def parameters(self) -> tuple[str, ...]:
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def with_ones(self, inputs: Tensor) -> Tensor:
        """Return inputs (..., fan_in) followed by a one for the bias, where there is a bias."""
        return inputs if self.bias is None else torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1)

    def outputs(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the responses (..., rows, units) to ``inputs`` (..., groups, rows, fan_in), given
        ``weight`` (..., units, fan_in) and ``bias`` (..., units)."""
        grouped = weight.unflatten(-2, (self.groups, self.units // self.groups))
        products = (inputs @ grouped.transpose(-1, -2)).transpose(-3, -2).flatten(-2)
        return products if bias is None else products + bias.unsqueeze(-2)


TracedStep = Layer | Normalisation


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

    steps: tuple[TracedStep, ...]
    kept: tuple[str, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(step for step in self.steps if isinstance(step, Layer))


class _ReachedError(Exception):
    """Raised to leave a network's forward pass at the step whose inputs were asked for."""


class _Interceptor(TorchFunctionMode):
    """Calls ``on_step`` before every step of a network that runs, and ``after`` behind every function.

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


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in arguments or results, which may be nested."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _elementwise(
    function: Callable[..., Tensor], stated: tuple[Any, ...], named: Mapping[str, Any], values: Tensor
) -> Tensor:
    return function(values, *stated, **named)


class _Tracer:
    """Collects the steps of one forward pass.

    What is read of a layer's responses is counted: an activation is what the next layer sees through only if
    nothing else reads them, neither before nor after a batch normalisation.
    """

    def __init__(self, network: NetworkState[Tensor]) -> None:
        self.network = network
        self.names = {id(value): name for name, value in network.items()}
        self.steps: dict[str, dict[str, Any]] = {}
        self.inputs: dict[str, Tensor] = {}
        self.used_elsewhere: set[str] = set()
        self.twice: set[str] = set()
        self._responses: dict[int, tuple[str, str]] = {}  # the layer, and before or after its normalisation
        self._alive: list[Tensor] = []  # so that no id is given twice

    def run(self, architecture: Architecture, inputs: Tensor) -> Tensor:
        """Run the network. Gradients tell what depends on its parameters."""
        parameters = [self.network[entry.name].requires_grad_() for entry in architecture.layout.entries]
        try:
            interceptor = _Interceptor(self.names, self._on_step, self._after)
            with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), interceptor:
                outputs = architecture.call(self.network, inputs)
        finally:
            for parameter in parameters:
                parameter.requires_grad_(False)
        last, stage = self._responses.get(id(outputs), (None, ""))
        if last is not None and stage == "before":
            self.steps[last]["is_output"] = True
        return outputs

    def bias_is_shared(self, layer: str) -> bool:
        """Return whether anything else has a layer's bias."""
        bias = self.steps[layer].get("bias")
        return bias is not None and (
            bias in self.used_elsewhere
            or any(step.get("bias") == bias for name, step in self.steps.items() if name != layer)
        )

    def _name(self, value: Any) -> str | None:
        return self.names.get(id(value)) if isinstance(value, Tensor) else None

    def _on_step(self, kind: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name in self.steps:
            self.twice.add(name)
            return
        values = _argument(args, kwargs, 0, "input", None)
        self.steps[name] = {"kind": kind, "args": args, "kwargs": kwargs, "depends": values.requires_grad}
        self.inputs[name] = values.detach().clone()

    def _after(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        called = getattr(func, "__name__", "")
        if called != "__setitem__" and not any(True for _ in _tensors(result)):
            return  # a shape, a type, a device
        source = self._responses.get(id(args[0])) if args else None
        if called in UNMOVED and source is not None:
            self._follow(result, *source)
            return
        for value in _tensors((args, kwargs)):
            if (read := self._responses.get(id(value))) is not None:
                layer, stage = read
                self.steps[layer][f"reads {stage}"] = self.steps[layer].get(f"reads {stage}", 0) + 1
        if called == "linear" or called in CONVOLUTIONS:
            weight = self._name(_argument(args, kwargs, 1, "weight", None))
            if weight in self.steps:
                bias = _argument(args, kwargs, 2, "bias", None)
                self.steps[weight]["bias"] = self._name(bias)
                self._note_parameters(_argument(args, kwargs, 0, "input", None))
                if bias is None or self.steps[weight]["bias"] is not None:
                    self._follow(result, weight, "before")
                return
        if called == "batch_norm":
            norm = self._name(_argument(args, kwargs, 1, "running_mean", None))
            if source is not None and source[1] == "before" and norm is not None:
                self.steps[source[0]].setdefault("normalisation", norm)
                self._follow(result, source[0], "after")
            return
        self._note_parameters((args, kwargs))
        if source is not None and called.removesuffix("_") in ELEMENTWISE:
            self.steps[source[0]].setdefault("activation", self._activation(called, args, kwargs))
            self.steps[source[0]].setdefault("activated", source[1])
        if source is not None and called in ELEMENTWISE and result is args[0]:
            del self._responses[id(result)]  # in place: responses no longer

    @staticmethod
    def _activation(called: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Elementwise:
        # Of all these functions `inplace` alone is true or false.
        function = ELEMENTWISE[called.removesuffix("_")]
        stated = tuple(value for value in args[1:] if not isinstance(value, bool))
        named = {key: value for key, value in kwargs.items() if key not in ("input", "inplace")}
        return partial(_elementwise, function, stated, named) if stated or named else function

    def _note_parameters(self, values: Any) -> None:
        self.used_elsewhere.update(name for value in _tensors(values) if (name := self._name(value)))

    def _follow(self, result: Tensor, layer: str, stage: str) -> None:
        self._responses[id(result)] = (layer, stage)
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
    again = _traced(architecture, 3, seed=0)
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
    steps: list[TracedStep] = []
    norms = {
        name: _normalisation(step, name, first)
        for name, step in first.steps.items()
        if step["kind"] == "batch_norm"
    }
    for name, step in first.steps.items():
        if name in norms:
            steps.append(norms[name])
        elif name not in first.used_elsewhere and not first.bias_is_shared(name):
            axis, before = _examples_axis(f"{called}: {name}", first.inputs[name], again.inputs[name])
            few, more = (
                _examples_first(tracer.inputs[name], axis, before, count)
                for tracer, count in ((first, 2), (second, 3))
            )
            same = not step["depends"] and torch.equal(few, more[:2])
            steps.append(_layer(name, step, first.network[name], norms, few, axis, before, same))
    layers = {parameter for step in steps if isinstance(step, Layer) for parameter in step.parameters}
    kept = [entry.name for entry in architecture.layout.entries if entry.name not in layers]
    return Trace(tuple(steps), tuple(kept))


def _examples_axis(what: str, few: Tensor, more: Tensor) -> tuple[int, int]:
    """Return the axis of a layer's inputs along which two examples and three differ, and how many positions
    lie before them along it."""
    differing = [i for i in range(few.dim()) if few.dim() == more.dim() and few.shape[i] != more.shape[i]]
    if len(differing) == 1:
        axis = differing[0]
        positions, odd = divmod(few.shape[axis], 2)
        if not odd and more.shape[axis] == 3 * positions:
            for before in dict.fromkeys((1, positions)):
                first, others = (
                    _examples_first(values, axis, before, count) for values, count in ((few, 2), (more, 3))
                )
                if torch.allclose(first, others[:2], rtol=1e-3, atol=1e-4 * float(first.abs().max())):
                    return axis, before
    raise InputError(
        f"{what}: its inputs are of shape {tuple(few.shape)} for two examples and {tuple(more.shape)} for "
        "three, expected one axis of examples, each of which goes through the network by itself; use the "
        "representation `weights`"
    )


def _examples_first(values: Tensor, axis: int, before: int, count: int) -> Tensor:
    """Return (count, ..., positions, ...) of values whose ``axis`` holds (before, count, after), merged."""
    return values.unflatten(axis, (before, count, -1)).movedim(axis + 1, 0).flatten(axis + 1, axis + 2)


def _traced(architecture: Architecture, examples: int, seed: int) -> _Tracer:
    network = architecture.initial_state("default", torch_generator("trace", seed))
    for name in architecture.buffers:
        # Running statistics of networks differ, those of new ones do not.
        if network[name].is_floating_point():
            draws = torch.rand(network[name].shape, generator=torch_generator(f"trace {name}", seed))
            network[name] = network[name] + draws.to(network[name])
    tracer = _Tracer(network)
    try:
        tracer.run(architecture, _examples(architecture, examples))
    except Exception as error:  # whatever the module raises
        where = f", in or after {list(tracer.steps)[-1]}" if tracer.steps else ""
        raise InputError(
            f"{architecture.config.called}: cannot be traced: it fails on {examples} examples "
            f"({describe(error)}){where}; correct its forward, or use the representation `weights`"
        ) from error
    return tracer


def _examples(architecture: Architecture, count: int) -> Tensor:
    """Return inputs (count, *input_shape) that any network accepts, the first ones the same for any count."""
    draws, shape = numpy_generator("trace", 0), (count, *architecture.input_shape)
    if isinstance(architecture.config, BertConfig):
        tokens = draws.integers(PADDING + 1, architecture.config.vocabulary, shape)
        return torch.from_numpy(tokens).float()
    return torch.from_numpy(draws.standard_normal(shape)).float()


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
    before: int,
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
        if (images := math.prod(inputs.shape[1 : -axes - 1])) > 1:
            places = (images, *places)
    else:
        places = tuple(size for size in inputs.shape[1:-1] if size > 1)
    stages = ("before", "after") if step.get("activated") == "after" else ("before",)
    alone = all(step.get(f"reads {stage}") == 1 for stage in stages)
    return Layer(
        name,
        step.get("bias"),
        units=weight.shape[0],
        fan_in=math.prod(weight.shape[1:]),
        groups=groups,
        places=places,
        batch_axis=batch_axis,
        before=before,
        convolution=convolution,
        normalisation=norms[step["normalisation"]] if "normalisation" in step else None,
        activation=step.get("activation") if alone else None,
        is_output=step.get("is_output", False) and math.prod(places) == 1 and groups == 1,
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


def summed(values: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return sums (c,) and sums of squares of values (b, c, ...), in float64, and how many each is of."""
    channels_first = values.double().movedim(1, 0).flatten(1)
    return channels_first.sum(1), channels_first.square().sum(1), channels_first.shape[1]


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
        """Return sums (n, c) and sums of squares of what goes into a batch normalisation, in float64, and how
        many values each is of."""
        counts: list[int] = []

        def sums(values: Tensor) -> Tensor:
            total, squares, count = summed(values)
            counts.append(count)
            return torch.stack([total, squares])

        found = self._reach(networks, norm.mean, self.probes[probes], sums)
        return found[:, 0], found[:, 1], counts[0]

    def visit(self, network: dict[str, Tensor], on_inputs: OnInputs) -> None:
        """Run one network on all probes, and before each step call ``on_inputs`` with its weight's or running
        mean's name and what goes into it. What is then changed in place is what the step computes with."""
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            self._run(network, self.probes, on_inputs)

    def rows_of(self, values: Tensor, layer: Layer) -> Tensor:
        """Return a layer's inputs (groups, rows, fan_in) at the positions that are looked at, given all of
        them, of all probes."""
        return _gather(values, layer, self.places(layer))

    def _reach(
        self,
        networks: StackedNetworks[Tensor],
        step: str,
        inputs: Tensor,
        gather: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Run n networks up to a step and return what ``gather`` makes of its inputs."""

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
            on_inputs(name, _argument(args, kwargs, 0, "input", None))

        with _Interceptor(names, on_step):
            self.architecture.call(network, inputs.unflatten(-1, self.architecture.input_shape))

    def _many(
        self,
        networks: StackedNetworks[Tensor],
        function: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        """Return what a function makes of every network, as many at once as are fastest."""
        parts = []
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            for rows in self.architecture.groups(networks.count, networks.device):
                some = networks.select(rows)
                if some.count == 1:
                    found = function(some.network(0))
                    parts.append({name: value.unsqueeze(0) for name, value in found.items()})
                else:
                    parts.append(vmap(function)(dict(some)))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _gather(values: Tensor, layer: Layer, places: Tensor) -> Tensor:
    examples_first = _examples_first(values, layer.batch_axis, layer.before, len(places))
    return (_patches if layer.convolution else _tokens)(examples_first, layer, places)


def _tokens(values: Tensor, layer: Layer, places: Tensor) -> Tensor:
    """Return inputs (1, b * count, fan_in) of a linear layer, of inputs (b, *places, fan_in)."""
    flat = values.reshape(len(places), -1, layer.fan_in)
    rows = torch.arange(len(places), device=places.device)[:, None]
    return flat[rows, places].flatten(0, 1).unsqueeze(0)


def _patches(values: Tensor, layer: Layer, places: Tensor) -> Tensor:
    """Return the patches (groups, b * count, fan_in) of images (b, images, channels, *image) around
    positions."""
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
