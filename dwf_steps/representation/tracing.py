"""Tracing of a network's layers in execution order, by running it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.dataset import PADDING
from dwf_steps.representation.layers import Convolution, Elementwise, Layer, Normalisation, Trace, TracedStep
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.plugins import describe
from dwf_steps.runtime.randomness import numpy_generator, torch_generator
from dwf_steps.storage.stacked import NetworkState

OnStep = Callable[[str, str, tuple[Any, ...], dict[str, Any]], None]

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
"""Elementwise activation functions by the name of PyTorch's function."""
CONVOLUTIONS = {"conv1d": 1, "conv2d": 2}
UNMOVED = ("view", "reshape", "flatten", "squeeze", "contiguous", "float", "dropout")
"""Functions whose result still counts as a layer's responses."""


class Interceptor(TorchFunctionMode):
    """Calls ``on_step`` before each step of a network that runs, and ``after`` after each function.

    Parameters
    ----------
    names
        Names of parameters and buffers by ``id``.
    on_step
        Called with the function's name, the name of the weight (of a batch norm, its running mean), and the
        arguments.
    after
        Called with the function, its arguments and its result.
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
            # It calls `linear` where modes do not intercept it.
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


def argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], place: int, name: str, default: Any) -> Any:
    """Return an argument of a function call.

    Parameters
    ----------
    args, kwargs
        The arguments of the call.
    place, name
        Its position and its name.
    default
        Its default value.

    Returns
    -------
    The argument, or its default value.
    """
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

    Reads of a layer's responses are counted: an activation is only attributed to a layer if nothing else
    reads the responses, neither before nor after batch norm.
    """

    def __init__(self, network: NetworkState[Tensor]) -> None:
        self.network = network
        self.names = {id(value): name for name, value in network.items()}
        self.steps: dict[str, dict[str, Any]] = {}
        self.inputs: dict[str, Tensor] = {}
        self.used_elsewhere: set[str] = set()
        self.twice: set[str] = set()
        self._responses: dict[int, tuple[str, str]] = {}  # layer, and "before" or "after" batch norm
        self._alive: list[Tensor] = []  # so that no id is reused

    def run(self, architecture: Architecture, inputs: Tensor) -> Tensor:
        """Run the network with gradients, which show what depends on its parameters."""
        parameters = [self.network[entry.name].requires_grad_() for entry in architecture.layout.entries]
        try:
            interceptor = Interceptor(self.names, self._on_step, self._after)
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
        """Return whether a layer's bias is also used elsewhere."""
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
        values = argument(args, kwargs, 0, "input", None)
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
            weight = self._name(argument(args, kwargs, 1, "weight", None))
            if weight in self.steps:
                bias = argument(args, kwargs, 2, "bias", None)
                self.steps[weight]["bias"] = self._name(bias)
                self._note_parameters(argument(args, kwargs, 0, "input", None))
                if bias is None or self.steps[weight]["bias"] is not None:
                    self._follow(result, weight, "before")
                return
        if called == "batch_norm":
            norm = self._name(argument(args, kwargs, 1, "running_mean", None))
            if source is not None and source[1] == "before" and norm is not None:
                self.steps[source[0]].setdefault("normalisation", norm)
                self._follow(result, source[0], "after")
            return
        self._note_parameters((args, kwargs))
        if source is not None and called.removesuffix("_") in ELEMENTWISE:
            self.steps[source[0]].setdefault("activation", self._activation(called, args, kwargs))
            self.steps[source[0]].setdefault("activated", source[1])
        if source is not None and called in ELEMENTWISE and result is args[0]:
            del self._responses[id(result)]  # overwritten by its activation

    @staticmethod
    def _activation(called: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Elementwise:
        # `inplace` is the only boolean argument of these functions.
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
    """Find the layers of a network in execution order by running it.

    Every call of `torch.nn.functional.linear`, `conv1d` or `conv2d` whose weight is a parameter counts as a
    layer, whether a module, an attention's projection or the user's own code makes it.

    Parameters
    ----------
    architecture
        The architecture to trace.

    Returns
    -------
    Layers and batch norms, and the parameters that belong to none.

    Raises
    ------
    InputError
        If the network fails, has no layers, calls one more than once, orders them by its weights, or mixes
        examples.
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
                examples_first(tracer.inputs[name], axis, before, count)
                for tracer, count in ((first, 2), (second, 3))
            )
            same = not step["depends"] and torch.equal(few, more[:2])
            steps.append(_layer(name, step, first.network[name], norms, few, axis, before, same))
    layers = {parameter for step in steps if isinstance(step, Layer) for parameter in step.parameters}
    kept = [entry.name for entry in architecture.layout.entries if entry.name not in layers]
    return Trace(tuple(steps), tuple(kept))


def _examples_axis(what: str, few: Tensor, more: Tensor) -> tuple[int, int]:
    """Return the axis of a layer's inputs that holds the examples, and the positions before them along it.

    It is found by comparing the inputs for two examples and for three.
    """
    differing = [i for i in range(few.dim()) if few.dim() == more.dim() and few.shape[i] != more.shape[i]]
    if len(differing) == 1:
        axis = differing[0]
        positions, odd = divmod(few.shape[axis], 2)
        if not odd and more.shape[axis] == 3 * positions:
            for before in dict.fromkeys((1, positions)):
                first, others = (
                    examples_first(values, axis, before, count) for values, count in ((few, 2), (more, 3))
                )
                if torch.allclose(first, others[:2], rtol=1e-3, atol=1e-4 * float(first.abs().max())):
                    return axis, before
    raise InputError(
        f"{what}: its inputs are of shape {tuple(few.shape)} for two examples and {tuple(more.shape)} for "
        "three, expected one axis of examples, each of which goes through the network by itself; use the "
        "representation `weights`"
    )


def examples_first(values: Tensor, axis: int, before: int, count: int) -> Tensor:
    """Move the axis of examples to the front.

    Parameters
    ----------
    values
        A layer's inputs, with (before, count, after) merged along ``axis``.
    axis
        The axis that holds the examples.
    before
        The number of positions before the examples along it.
    count
        The number of examples.

    Returns
    -------
    The inputs, (count, ..., before * after, ...).
    """
    return values.unflatten(axis, (before, count, -1)).movedim(axis + 1, 0).flatten(axis + 1, axis + 2)


def _traced(architecture: Architecture, examples: int, seed: int) -> _Tracer:
    network = architecture.initial_state("default", torch_generator("trace", seed))
    for name in architecture.buffers:
        # Running statistics differ between trained networks, but not between new ones.
        if network[name].is_floating_point():
            draws = torch.rand(network[name].shape, generator=torch_generator(f"trace {name}", seed))
            network[name] = network[name] + draws.to(network[name])
    failed: list[tuple[Exception, _Tracer]] = []
    for inputs in _examples(architecture, examples):
        tracer = _Tracer(network)
        try:
            tracer.run(architecture, inputs)
        except Exception as error:  # the user's module may raise anything
            failed.append((error, tracer))
        else:
            return tracer
    first, tracer = failed[0]
    where = f", in or after {list(tracer.steps)[-1]}" if tracer.steps else ""
    raise InputError(
        f"{architecture.config.called}: cannot be traced: it fails on {examples} examples "
        f"({describe(first)}){where}; correct its forward, or use the representation `weights`"
    ) from first


def _examples(architecture: Architecture, count: int) -> Iterator[Tensor]:
    """Yield inputs (count, *input_shape), of which the first ones are the same for any count.

    For BERT they are tokens. All other networks are tried on real numbers first, then on zeros and ones, in
    case they expect tokens.
    """
    draws, shape = numpy_generator("trace", 0), (count, *architecture.input_shape)
    if isinstance(architecture.config, BertConfig):
        tokens = draws.integers(PADDING + 1, architecture.config.vocabulary, shape)
        yield torch.from_numpy(tokens).float()
        return
    values = torch.from_numpy(draws.standard_normal(shape)).float()
    yield values
    yield (values > 0).float()


def _normalisation(step: Mapping[str, Any], mean: str, tracer: _Tracer) -> Normalisation:
    args, kwargs = step["args"], step["kwargs"]
    names = [
        tracer._name(argument(args, kwargs, place, key, None))
        for place, key in ((3, "weight"), (4, "bias"), (2, "running_var"))
    ]
    assert names[2] is not None
    return Normalisation(names[0], names[1], mean, names[2], argument(args, kwargs, 7, "eps", 1e-5))


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
            _each(argument(args, kwargs, place, key, 1), axes)
            for place, key in ((3, "stride"), (5, "dilation"))
        )
        padding = _padding(argument(args, kwargs, 4, "padding", 0), kernel, dilation, axes)
        groups = argument(args, kwargs, 6, "groups", 1)
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
