"""Rules by which permutations of parameters' axes propagate through a network's operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from dwf_steps.symmetry.axes import (
    Dimension,
    cut,
    fix,
    fixed,
    forbid_scales,
    fresh,
    length,
    product,
    reshape,
    resolve,
    same_units,
    select,
    uniform,
    unify,
)

Dimensions = list[Dimension]
Arguments = Mapping[str, Any]

HOMOGENEOUS = frozenset(
    (
        "relu",
        "leaky_relu",
        "prelu_kernel",
        "abs",
        "neg",
        "add",
        "sub",
        "rsub",
        "mul",
        "div",
        "clone",
        "to_copy",
        "copy",
        "maximum",
        "minimum",
    )
)
"""Elementwise functions that may be positively homogeneous; whether they are is checked numerically."""
ELEMENTWISE = frozenset(
    (
        "hardswish",
        "hardtanh",
        "to_copy",
        "copy",
        "clone",
        "prelu_kernel",
        "safe_softmax",
        "softmax",
        "log_softmax",
    )
)
"""Functions that treat all entries of an axis alike, besides those that PyTorch tags as pointwise."""
UNCHANGED = frozenset(("alias", "detach", "lift_fresh", "contiguous", "positive"))
MADE_UNIFORM = frozenset(
    (
        "zeros",
        "ones",
        "full",
        "zeros_like",
        "ones_like",
        "full_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "scalar_tensor",
        "empty",
        "empty_like",
        "new_empty",
    )
)
REDUCTIONS = frozenset(
    (
        "mean",
        "sum",
        "amax",
        "amin",
        "prod",
        "logsumexp",
        "linalg_vector_norm",
        "norm",
        "std",
        "var",
        "var_mean",
        "std_mean",
        "any",
        "all",
    )
)
POOLINGS = {
    f"{kind}{n}d{suffix}": n
    for n in (1, 2, 3)
    for kind, suffix in (
        ("max_pool", ""),
        ("max_pool", "_with_indices"),
        ("avg_pool", ""),
        ("adaptive_avg_pool", ""),
        ("adaptive_max_pool", ""),
        ("upsample_nearest", ""),
        ("upsample_nearest_exact", ""),
        ("upsample_bilinear", ""),
        ("reflection_pad", ""),
        ("replication_pad", ""),
    )
} | {"upsample_linear1d": 1, "upsample_bicubic2d": 2, "upsample_trilinear3d": 3}
"""Functions of images, and the number of their spatial axes, which are the last ones."""


class UnknownOperationError(Exception):
    """There is no rule for an operation."""


@dataclass(frozen=True)
class NormalisedUnits:
    """A batch norm and the layer before it.

    Attributes
    ----------
    statistics
        Names of its running mean and variance.
    weight, bias
        Names of the parameters of the layer whose responses it reads; None if there is none.
    epsilon
        The constant that it adds to variances.
    """

    statistics: tuple[str, str]
    weight: str | None
    bias: str | None
    epsilon: float


class DimensionTracer(TorchDispatchMode):
    """Traces the axes of parameters, and of all values computed from them, through the operations that run.

    Axes start as units in arbitrary order. The rule of each operation determines which of its arguments' axes
    must be permuted alike for its result to be permuted, too. If there is no rule, all axes that the
    operation reads keep their order.

    Parameters
    ----------
    parameters
        Parameters and buffers of a network by name. All other tensors, inputs included, keep their order.

    Attributes
    ----------
    dimensions
        The axes of each parameter.
    unknown
        Names of the operations without a rule.
    used
        Names of the parameters that were read.
    normalisations
        All batch norms.
    last
        The name of the last operation; empty before the first.
    """

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.dimensions = {name: [fresh(size) for size in value.shape] for name, value in parameters.items()}
        self.unknown: dict[str, None] = {}
        self.used: set[str] = set()
        self.normalisations: list[NormalisedUnits] = []
        self.last = ""
        self._of = WeakTensorKeyDictionary()
        self._names = WeakTensorKeyDictionary()
        self._layers = WeakTensorKeyDictionary()
        for name, value in parameters.items():
            self._of[value], self._names[value] = self.dimensions[name], name

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self._note(func, args, kwargs or {}, result)
        return result

    def of(self, value: Tensor) -> Dimensions:
        """Return the axes of a tensor."""
        if value not in self._of:
            self._of[value] = [fixed(size) for size in value.shape]
        found: Dimensions = self._of[value]
        return found

    def name_of(self, value: Any) -> str | None:
        """Return the name of a parameter, also for its transposed views; None for other values."""
        return self._names.get(value) if isinstance(value, Tensor) else None

    def _note(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        given = _bound(func, args, kwargs)
        results = list(_tensors(result))
        self.used.update(name for value in _tensors(given) if (name := self.name_of(value)) is not None)
        called = func._schema.name.removeprefix("aten::")
        self.last, name = called, called.strip("_")
        rule = RULES.get(name)
        if rule is None and (torch.Tag.pointwise in func.tags or name in ELEMENTWISE):
            rule = _elementwise
        try:
            if rule is None:
                raise UnknownOperationError
            found = rule(Step(self, name, given, results))
            for value, axes in zip(results, found, strict=True):
                if 0 not in value.shape and list(value.shape) != [length(axis) for axis in axes]:
                    raise UnknownOperationError
        except Exception:  # a rule that fails on these arguments does not apply
            found = self._keep_order(called, given, results)
        for value, axes in zip(results, found, strict=True):
            if func._schema.is_mutable and value is args[0]:
                self._write(value, axes)
            self._of[value] = axes
        self._remember(name, given, results)

    def _keep_order(self, called: str, given: Arguments, results: list[Tensor]) -> list[Dimensions]:
        """Make all axes that an operation reads keep their order, and so those of its results."""
        axes = [axis for value in _tensors(given) for axis in self.of(value)]
        if not all(map(_is_fixed, axes)):
            self.unknown.setdefault(called)
        for axis in axes:
            fix(axis)
        return [[fixed(size) for size in value.shape] for value in results]

    def _write(self, value: Tensor, axes: Dimensions) -> None:
        """Note that a tensor is overwritten: tensors that share its memory may no longer be uniform."""
        before = self._of.get(value, [])
        changed = [
            (old, new) for old, new in zip(before, axes, strict=True) if old != new and _has_uniform(old)
        ]
        if not changed:
            return
        place = value.untyped_storage().data_ptr()
        for other in list(self._of):
            if other is value or other.untyped_storage().data_ptr() != place:
                continue
            own = list(self.of(other))
            for old, new in changed:
                places = [number for number, axis in enumerate(own) if same_units(axis, old)]
                if len(places) == 1:
                    own[places[0]] = new
                else:
                    fix(new)
            self._of[other] = [fixed(length(axis)) if _has_uniform(axis) else axis for axis in own]

    def _remember(self, name: str, given: Arguments, results: list[Tensor]) -> None:
        """Remember tensors that are transposed parameters or layers' responses."""
        if name in ("t", "transpose", "permute", *UNCHANGED) and (known := self.name_of(given["self"])):
            self._names[results[0]] = known
        if name in ("view", "unsafe_view", "transpose", "permute", *UNCHANGED):
            if given["self"] in self._layers:
                self._layers[results[0]] = self._layers[given["self"]]
        elif name == "convolution" and not given["transposed"]:
            self._layers[results[0]] = self.name_of(given["weight"]), self.name_of(given["bias"])
        elif name == "addmm":
            self._layers[results[0]] = self.name_of(given["mat2"]), self.name_of(given["self"])
        elif name == "mm":
            self._layers[results[0]] = self.name_of(given["mat2"]), None

    def layer_of(self, value: Tensor) -> tuple[str | None, str | None]:
        """Return the names of weight and bias of the layer whose responses a tensor holds."""
        found: tuple[str | None, str | None] = self._layers.get(value, (None, None))
        return found


@dataclass(frozen=True)
class Step:
    """One operation that ran.

    Attributes
    ----------
    tracer
        The tracer that observed it.
    name
        The operation's name in ATen, without leading or trailing underscores.
    given
        Its arguments by name.
    results
        The tensors it returned.
    """

    tracer: DimensionTracer
    name: str
    given: Arguments
    results: list[Tensor]

    def of(self, argument: str) -> Dimensions:
        """Return the axes of an argument."""
        return self.tracer.of(self.given[argument])


Rule = Callable[[Step], list[Dimensions]]


def _bound(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation's arguments by name, defaults included."""
    given = {argument.name: argument.default_value for argument in func._schema.arguments}
    for argument, value in zip(func._schema.arguments, args, strict=False):
        given[argument.name] = value
    return given | dict(kwargs)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def _is_fixed(axis: Dimension) -> bool:
    return all(units.fixed or units.uniform for part in resolve(axis) for units in part)


def _has_uniform(axis: Dimension) -> bool:
    return any(units.uniform for part in resolve(axis) for units in part)


def _elementwise(step: Step) -> list[Dimensions]:
    shape = step.results[0].shape
    found: Dimensions = [uniform(size) for size in shape]
    for value in _tensors(step.given):
        own = step.tracer.of(value)
        if len(own) > len(found):
            raise UnknownOperationError
        for back, axis in enumerate(reversed(own), start=1):
            if length(axis) == shape[-back]:
                found[-back] = unify(axis, found[-back])
    if step.name not in HOMOGENEOUS:
        for axis in found:
            forbid_scales(axis)
    return [found for _ in step.results]


def _unchanged(step: Step) -> list[Dimensions]:
    return [step.of("self")]


def _made_uniform(step: Step) -> list[Dimensions]:
    return [[uniform(size) for size in step.results[0].shape]]


def _view(step: Step) -> list[Dimensions]:
    return [reshaped(step.of("self"), step.results[0].shape)]


def reshaped(axes: Dimensions, shape: Sequence[int]) -> Dimensions:
    """Return the axes of an array after a reshape.

    Parameters
    ----------
    axes
        The axes before it.
    shape
        The new shape, with the same number of entries.

    Returns
    -------
    The axes in the new shape.
    """
    if 0 in shape:
        return [fixed(size) for size in shape]
    waiting, found, sizes = [axis for axis in axes if length(axis) > 1], Dimensions(), list(shape)
    while sizes:
        if sizes[0] == 1:
            found.append(fresh(sizes.pop(0)))
            continue
        own, wanted = [waiting.pop(0)], [sizes.pop(0)]
        while (have := math.prod(map(length, own))) != (want := math.prod(wanted)):
            if have < want:
                own.append(waiting.pop(0))
            else:
                wanted.append(sizes.pop(0))
        found.extend(reshape(product(own), wanted))
    return found


def _permute(step: Step) -> list[Dimensions]:
    axes = step.of("self")
    if step.name == "t":
        return [axes[::-1]]
    if step.name == "permute":
        return [[axes[place] for place in step.given["dims"]]]
    order = list(axes)
    first, second = step.given["dim0"], step.given["dim1"]
    order[first], order[second] = order[second], order[first]
    return [order]


def _squeeze(step: Step) -> list[Dimensions]:
    axes = [axis for axis in step.of("self") if length(axis) > 1]
    return [[axes.pop(0) if size > 1 else fresh(1) for size in step.results[0].shape]]


def _expand(step: Step) -> list[Dimensions]:
    axes, shape = step.of("self"), step.results[0].shape
    axes = [fresh(1)] * (len(shape) - len(axes)) + axes
    return [[axis if length(axis) == size else uniform(size) for axis, size in zip(axes, shape, strict=True)]]


def _repeat(step: Step) -> list[Dimensions]:
    axes = step.of("self")
    axes = [fresh(1)] * (len(step.given["repeats"]) - len(axes)) + axes
    return [[product([uniform(n), axis]) for n, axis in zip(step.given["repeats"], axes, strict=True)]]


def _select(step: Step) -> list[Dimensions]:
    axes, place = step.of("self"), step.given["dim"] % step.given["self"].dim()
    if step.name == "unbind":
        return [select(axes, place, index) for index in range(len(step.results))]
    return [select(axes, place, step.given["index"] % length(axes[place]))]


def _split(step: Step) -> list[Dimensions]:
    axes, place = step.of("self"), step.given["dim"] % step.given["self"].dim()
    sizes = [value.shape[place] for value in step.results]
    if all(size == 1 for size in sizes):
        chosen = (select(axes, place, index) for index in range(len(sizes)))
        return [[*own[:place], fresh(1), *own[place:]] for own in chosen]
    parts = cut(axes[place], sizes)
    return [[*axes[:place], part, *axes[place + 1 :]] for part in parts]


def _glu(step: Step) -> list[Dimensions]:
    axes, place = list(step.of("self")), step.given["dim"] % step.given["self"].dim()
    half = length(axes[place]) // 2
    axes[place] = unify(*cut(axes[place], [half, half]))
    forbid_scales(axes[place])
    return [axes]


def _slice(step: Step) -> list[Dimensions]:
    axes, place = list(step.of("self")), step.given["dim"] % step.given["self"].dim()
    whole, taken = length(axes[place]), step.results[0].shape[place]
    if taken == whole:
        return [axes]
    start = step.given["start"] or 0
    start = min(max(start + whole if start < 0 else start, 0), whole)
    if step.given["step"] != 1 or taken == 0:
        fix(axes[place])
        axes[place] = fixed(taken)
    elif taken == 1:
        own = select(axes, place, start)
        axes = [*own[:place], fresh(1), *own[place:]]
    else:
        sizes = [start, taken, whole - start - taken]
        parts = cut(axes[place], [size for size in sizes if size])
        axes[place] = parts[1 if start else 0]
    return [axes]


def _cat(step: Step) -> list[Dimensions]:
    place = step.given["dim"] % step.results[0].dim()
    every = [list(step.tracer.of(value)) for value in step.given["tensors"] if value.numel()]
    if step.name == "stack":
        every = [[*axes[:place], fresh(1), *axes[place:]] for axes in every]
    found = every[0]
    for axes in every[1:]:
        found = [
            unify(a, b) if number != place else a
            for number, (a, b) in enumerate(zip(found, axes, strict=True))
        ]
    joined: Dimension = tuple(part for axes in every for part in axes[place])
    if step.name == "stack":
        joined = fixed(len(every))
    return [[*found[:place], joined, *found[place + 1 :]]]


def _pad(step: Step) -> list[Dimensions]:
    axes, widths = list(step.of("self")), step.given["pad"]
    for back, (before, after) in enumerate(zip(widths[::2], widths[1::2], strict=True), start=1):
        if before < 0 or after < 0:  # entries are cut off
            fix(axes[-back])
            axes[-back] = fixed(step.results[0].shape[-back])
            continue
        around = (uniform(before) if before else (), axes[-back], uniform(after) if after else ())
        axes[-back] = tuple(part for axis in around for part in axis)
    return [axes]


def _index(step: Step) -> list[Dimensions]:
    axes = step.of("self")
    if step.name == "index_select":
        place = step.given["dim"] % len(axes)
        fix(axes[place])
        return [[*axes[:place], fixed(step.results[0].shape[place]), *axes[place + 1 :]]]
    places = [number for number, index in enumerate(step.given["indices"]) if index is not None]
    if len(places) != 1 or step.given["indices"][places[0]].dtype == torch.bool:
        raise UnknownOperationError
    (place,) = places
    for axis in (axes[place], *step.tracer.of(step.given["indices"][place])):
        fix(axis)
    chosen = [fixed(size) for size in step.given["indices"][place].shape]
    return [[*axes[:place], *chosen, *axes[place + 1 :]]]


def _turned(step: Step) -> list[Dimensions]:
    """Keep the order of the axes that `flip` and `roll` turn; `roll` may turn the flattened array."""
    axes, turned = step.of("self"), step.given["dims"]
    for axis in [axes[place] for place in turned] if turned else axes:
        fix(axis)
    return [axes]


def _embedding(step: Step) -> list[Dimensions]:
    rows, columns = step.of("weight")
    fix(rows)
    return [[*step.of("indices"), columns]]


def _matrix_product(step: Step) -> list[Dimensions]:
    """Contract the last axis of the first matrix with the second but last of the other, in each batch."""
    first, second = {
        "mm": ("self", "mat2"),
        "addmm": ("mat1", "mat2"),
        "bmm": ("self", "mat2"),
        "baddbmm": ("batch1", "batch2"),
        "mv": ("self", "vec"),
        "addmv": ("mat", "vec"),
        "dot": ("self", "tensor"),
    }[step.name]
    one, other = step.tracer.of(step.given[first]), step.tracer.of(step.given[second])
    inner = max(len(other) - 2, 0)
    unify(one[-1], other[inner])
    batches = [unify(a, b) for a, b in zip(one[:inner], other[:inner], strict=True)]
    found = [*batches, *one[inner:-1], *other[inner + 1 :]]
    if step.name.startswith("add") or step.name == "baddbmm":
        for back, axis in enumerate(reversed(step.of("self")), start=1):
            if length(axis) == length(found[-back]):
                found[-back] = unify(axis, found[-back])
    return [found]


def _convolution(step: Step) -> list[Dimensions]:
    examples, channels, *pixels = step.of("input")
    rows, columns, *kernel = step.of("weight")
    groups = step.given["groups"]
    for axis in (*pixels, *kernel):
        fix(axis)
    of_groups = fresh(groups)
    if step.given["transposed"]:
        unify(product([of_groups, fresh(length(rows) // groups)]), rows)
        unify(channels, rows)
        units = product([of_groups, columns]) if groups > 1 else columns
    else:
        inputs = product([of_groups, columns]) if groups > 1 else columns
        unify(channels, inputs)
        if groups > 1:
            unify(product([of_groups, fresh(length(rows) // groups)]), rows)
            forbid_scales(rows)
        units = rows
    if step.given["bias"] is not None:
        units = unify(units, step.of("bias")[0])
    return [[examples, units, *(fixed(size) for size in step.results[0].shape[2:])]]


def _batch_norm(step: Step) -> list[Dimensions]:
    axes = list(step.of("input"))
    for key in ("weight", "bias", "running_mean", "running_var"):
        if step.given.get(key) is not None:
            axes[1] = unify(step.tracer.of(step.given[key])[0], axes[1])
    mean, variance = (step.tracer.name_of(step.given.get(key)) for key in ("running_mean", "running_var"))
    if mean is not None and variance is not None:
        layer = step.tracer.layer_of(step.given["input"])
        step.tracer.normalisations.append(NormalisedUnits((mean, variance), *layer, step.given["eps"]))
    return [axes, *([fixed(size) for size in value.shape] for value in step.results[1:])]


def _layer_norm(step: Step) -> list[Dimensions]:
    axes = list(step.of("input"))
    for key in ("weight", "bias"):
        if step.given.get(key) is not None:
            own = step.tracer.of(step.given[key])
            axes[len(axes) - len(own) :] = [
                unify(a, b) for a, b in zip(own, axes[len(axes) - len(own) :], strict=True)
            ]
    for axis in axes[len(axes) - len(step.given["normalized_shape"]) :]:
        forbid_scales(axis)
    return [axes, *([fixed(size) for size in value.shape] for value in step.results[1:])]


def _weight_norm(step: Step) -> list[Dimensions]:
    """Give every unit of a weight its own norm."""
    axes, place = list(step.of("v")), step.given["dim"]
    axes[place] = unify(axes[place], step.of("g")[place])
    return [axes, step.of("g")]


def _group_norm(step: Step) -> list[Dimensions]:
    axes = list(step.of("input"))
    groups = step.given["group"]
    axes[1] = unify(product([fresh(groups), fresh(step.given["C"] // groups)]), axes[1])
    for key in ("weight", "bias"):
        if step.given.get(key) is not None:
            axes[1] = unify(step.tracer.of(step.given[key])[0], axes[1])
    forbid_scales(axes[1])
    return [axes, *([fixed(size) for size in value.shape] for value in step.results[1:])]


def _reduce(step: Step) -> list[Dimensions]:
    axes = step.of("self")
    stated = step.given.get("dim")
    places = (
        range(len(axes))
        if stated is None or stated == []
        else [stated]
        if isinstance(stated, int)
        else stated
    )
    gone = {place % len(axes) for place in places} if axes else set()
    if step.name in ("prod", "logsumexp", "any", "all"):
        for place in gone:
            forbid_scales(axes[place])
    kept = [fresh(1) if number in gone else axis for number, axis in enumerate(axes)]
    if not step.given.get("keepdim"):
        kept = [axis for number, axis in enumerate(kept) if number not in gone]
    return [kept for _ in step.results]


def _largest(step: Step) -> list[Dimensions]:
    """Reduce by `max` or `min`; indices along a reduced axis depend on its order."""
    if "other" in step.given:
        return _elementwise(step)
    if "dim" in step.given:
        fix(step.of("self")[step.given["dim"]])
    return _reduce(step)


def _pool(step: Step) -> list[Dimensions]:
    axes = step.tracer.of(step.given["self" if "self" in step.given else "input"])
    pixels = POOLINGS[step.name]
    for axis in axes[-pixels:]:
        fix(axis)
    return [[*axes[:-pixels], *(fixed(size) for size in value.shape[-pixels:])] for value in step.results]


def _along(step: Step) -> list[Dimensions]:
    """Keep the order of the axis along which an operation runs."""
    axes = step.of("self")
    fix(axes[step.given["dim"]])
    return [axes for _ in step.results]


def _pixel_shuffle(step: Step) -> list[Dimensions]:
    *before, channels, height, width = step.of("self")
    if step.name == "pixel_shuffle":
        factor = step.given["upscale_factor"]
        sizes = [length(channels) // factor**2, factor, factor]
        units, rows, columns = reshape(channels, sizes)
        for axis in (rows, columns):
            fix(axis)
        kept: Dimension = resolve(units)
    else:
        factor = step.given["downscale_factor"]
        kept = product([channels, fixed(factor**2)])
    for axis in (height, width):
        fix(axis)
    return [[*before, kept, *(fixed(size) for size in step.results[0].shape[-2:])]]


def _windows(step: Step) -> list[Dimensions]:
    """Put the pixels of windows below their channels (`im2col`), or back (`col2im`)."""
    size, result = math.prod(step.given["kernel_size"]), step.results[0].shape
    if step.name == "im2col":
        *examples, channels, height, width = step.of("self")
        gone, kept = (height, width), product([channels, fixed(size)])
    else:
        *examples, rows, windows = step.of("self")
        channels, pixels = reshape(rows, [length(rows) // size, size])
        gone, kept = (pixels, windows), channels
    for axis in gone:
        fix(axis)
    return [[*examples, resolve(kept), *map(fixed, result[len(examples) + 1 :])]]


def _unfold(step: Step) -> list[Dimensions]:
    """Take windows along an axis; entries of a window become the last axis."""
    axes, place = list(step.of("self")), step.given["dimension"] % step.given["self"].dim()
    fix(axes[place])
    axes[place] = fixed(step.results[0].shape[place])
    return [[*axes, fixed(step.given["size"])]]


def _channel_shuffle(step: Step) -> list[Dimensions]:
    examples, channels, *pixels = step.of("self")
    groups = step.given["groups"]
    outer, inner = reshape(channels, [groups, length(channels) // groups])
    return [[examples, product([resolve(inner), resolve(outer)]), *pixels]]


def _strides(step: Step) -> list[Dimensions]:
    """Keep the axes if only strides are set."""
    if (
        list(step.given["self"].shape) != list(step.given["size"])
        or step.results[0] is not step.given["self"]
    ):
        raise UnknownOperationError
    return [step.of("self")]


RULES: dict[str, Rule] = {
    **dict.fromkeys(("view", "unsafe_view", "reshape_alias"), _view),
    **dict.fromkeys(UNCHANGED, _unchanged),
    **dict.fromkeys(MADE_UNIFORM, _made_uniform),
    **dict.fromkeys(("t", "permute", "transpose"), _permute),
    **dict.fromkeys(("squeeze", "unsqueeze"), _squeeze),
    **dict.fromkeys(("select", "unbind"), _select),
    **dict.fromkeys(
        ("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk", "unsafe_chunk"),
        _split,
    ),
    **dict.fromkeys(("cat", "stack"), _cat),
    **dict.fromkeys(("index", "index_select"), _index),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot"), _matrix_product),
    **dict.fromkeys(
        ("native_batch_norm", "native_batch_norm_legit", "native_batch_norm_legit_no_training"), _batch_norm
    ),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(("max", "min"), _largest),
    **dict.fromkeys(POOLINGS, _pool),
    **dict.fromkeys(("cumsum", "cumprod", "sort", "logcumsumexp"), _along),
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), _pixel_shuffle),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _channel_shuffle),
    **dict.fromkeys(("im2col", "col2im"), _windows),
    "as_strided": _strides,
    "convolution": _convolution,
    "constant_pad_nd": _pad,
    "embedding": _embedding,
    "expand": _expand,
    **dict.fromkeys(("flip", "roll"), _turned),
    "glu": _glu,
    "native_group_norm": _group_norm,
    **dict.fromkeys(("native_layer_norm", "fused_rms_norm"), _layer_norm),
    "repeat": _repeat,
    "slice": _slice,
    "unfold": _unfold,
    "weight_norm_interface": _weight_norm,
}
