"""A device without hardware: its tensors' values are a CPU's, but only operations on the device see them.

What mixes devices, or takes a tensor for one of the CPU, fails as with CUDA; what does not has the CPU's
results. A backend of PyTorch's `PrivateUse1`, whose operations are the CPU's.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

NAME = "card"
MAY_MIX = {"aten::_copy_from", "aten::copy_", "aten::_to_copy", "aten::index", "aten::index_put_"}
"""Operations that take tensors of the CPU too: copies, and indices."""


class _Backend(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


RESHAPING = {"aten::view", "aten::_reshape_alias", "aten::_unsafe_view"}

_VALUES: dict[int, Tensor] = {}
"""Of every tensor of the device, by its storage, of which views have one each."""
_KEPT: list[torch.library.Library] = []


def register() -> torch.device:
    """Make the device known to PyTorch, for the rest of the process."""
    _setup_privateuseone_for_python_backend(NAME, _Backend())
    every, aten = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    every.fallback(_on_device, dispatch_key="PrivateUse1")
    for name, operation in {
        "empty.memory_format": lambda size, **more: _held(torch.empty(size, dtype=more.get("dtype"))),
        "empty_strided": lambda size, stride, **more: _held(
            torch.empty_strided(size, stride, dtype=more.get("dtype"))
        ),
        "constant_pad_nd": lambda values, *how: _held(torch.constant_pad_nd(_values(values), *how)),
        "_copy_from": _copied,
        "convolution_overrideable": lambda *given: _held(torch.convolution(*map(_values, given))),
        "convolution_backward_overrideable": _convolution_backward,
        "_local_scalar_dense": lambda value: _values(value).item(),
    }.items():
        aten.impl(name, operation, "PrivateUse1")
    _KEPT.extend([every, aten])
    # What a tensor's storage holds is not its values.
    copied = Tensor.__deepcopy__
    Tensor.__deepcopy__ = lambda self, memo: (  # type: ignore[method-assign]
        memo.setdefault(id(self), self.detach().clone()) if _is_held(self) else copied(self, memo)
    )
    return torch.device(NAME)


def _held(values: Tensor) -> Tensor:
    result: Tensor = torch._C._acc.create_empty_tensor(values.shape, values.dtype)
    _VALUES[result.untyped_storage()._cdata] = values
    return result


def _values(value: Any) -> Any:
    if not _is_held(value):
        return value
    values = _VALUES[value.untyped_storage()._cdata]
    return values if values.shape == value.shape else values.reshape(value.shape)


def _is_held(value: Any) -> bool:
    return isinstance(value, Tensor) and value.device.type == NAME


def _copied(source: Tensor, target: Tensor, _non_blocking: bool = False) -> Tensor:
    _values(target).copy_(_values(source))
    return target


def _convolution_backward(
    gradient: Tensor, values: Tensor, weight: Tensor, *how: Any
) -> tuple[Tensor | None, ...]:
    *how, wanted = how
    own = (_values(tensor) for tensor in (gradient, values, weight))
    found = torch.ops.aten.convolution_backward(*own, None, *how, wanted)
    return tuple(None if value is None else _held(value) for value in found)


def _on_device(operation: Any, *args: Any, **kwargs: Any) -> Any:
    flat, spec = pytree.tree_flatten((args, kwargs))
    name, tensors = operation._schema.name, [value for value in flat if isinstance(value, Tensor)]
    strangers = [value for value in tensors if not _is_held(value) and value.dim()]
    if strangers and name not in MAY_MIX:
        raise RuntimeError(f"{name}: tensors on two devices, {NAME} and {strangers[0].device}")
    # Kernels of optimisers take it for granted that a gradient lies in memory as its parameter does.
    values = [_values(value) for value in flat]
    own, more = pytree.tree_unflatten(values, spec)
    if name.startswith("aten::_fused_"):
        own = pytree.tree_map(lambda value: value.contiguous() if isinstance(value, Tensor) else value, own)
    to_cpu = more.get("device") is not None and torch.device(more["device"]).type == "cpu"
    if more.get("device") is not None:
        more["device"] = torch.device("cpu")
    # A tensor of the device does not know that its values are transposed, or one value many times.
    if name == "aten::as_strided":
        found = own[0].contiguous().as_strided(*own[1:])
    else:
        found = own[0].reshape(own[1]) if name in RESHAPING else operation(*own, **more)
    if to_cpu:
        return found
    changed = {id(raw): value for raw, value in zip(values, flat, strict=True) if _is_held(value)}
    for raw, value in zip(values, flat, strict=True):
        if _is_held(value) and raw.shape != value.shape:  # where results were written, resized
            value.data = _held(raw)
    return pytree.tree_map(
        lambda value: changed.get(id(value), _held(value)) if isinstance(value, Tensor) else value, found
    )
