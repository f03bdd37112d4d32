"""Symmetries that a user-provided module states, checked against its parameters."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dwf_steps.runtime.plugins import describe
from dwf_steps.symmetry.spec import (
    Attention,
    PermutationSpec,
    Rescaling,
    RescalingSpec,
    unit_counts,
    with_buffers,
)

STATED = re.compile("[^=]+(=[1-9][0-9]*)?")
"""The name of a permutation, optionally with its number of units."""
Shapes = Mapping[str, tuple[int, ...]]


class StatedWronglyError(ValueError):
    """The symmetries that a module states do not fit it."""


def stated(module: object, method: str, shapes: Shapes, buffers: Iterable[str]) -> Any:
    """Read and check the symmetries that a module's method states.

    Parameters
    ----------
    module
        The module.
    method
        ``permutation_spec``, ``rescaling_spec`` or ``attention_spec``.
    shapes
        Shapes of the parameters and buffers.
    buffers
        Names of the buffers, which need not be stated.

    Returns
    -------
    The specification that the method returned, completed by buffers.

    Raises
    ------
    StatedWronglyError
        If the method fails, or its result does not fit the module.
    """
    try:
        returned = getattr(module, method)()
    except Exception as error:  # the user's code may raise anything
        raise StatedWronglyError(describe(error)) from error
    if method == "permutation_spec":
        return _permutations(returned, shapes, {name: shapes[name] for name in buffers})
    check: Callable[[Any, Shapes], Any] = _rescalings if method == "rescaling_spec" else _attentions
    return check(returned, shapes)


def _permutations(returned: Any, shapes: Shapes, buffers: Shapes) -> PermutationSpec:
    if not isinstance(returned, Mapping):
        raise StatedWronglyError(
            f"returned {type(returned).__name__}, expected a mapping: parameter -> for each axis a name or "
            "None"
        )
    _refuse_unknown(returned, shapes)
    for name, axes in returned.items():
        if isinstance(axes, str) or not isinstance(axes, Iterable):
            raise StatedWronglyError(
                f"{name} has {axes!r}, expected a tuple with a permutation's name or None for each axis"
            )
    spec = with_buffers({name: tuple(axes) for name, axes in returned.items()}, buffers)
    if missing := sorted(shapes.keys() - spec.keys()):
        raise StatedWronglyError(
            f"lacks {', '.join(missing)}; name every parameter, with None where nothing acts on an axis"
        )
    for name, axes in spec.items():
        if len(axes) != len(shapes[name]):
            raise StatedWronglyError(
                f"{name} has {axes}, expected {len(shapes[name])} entries, one for each axis of its shape "
                f"{shapes[name]}"
            )
        if other := [entry for entry in axes if not _is_axis(entry)]:
            raise StatedWronglyError(
                f"{name} has {other[0]!r} for an axis, expected a permutation's name, None, a tuple of names "
                "and numbers that the axis is divided into, or a list of its parts"
            )
    try:
        unit_counts(shapes, spec)
    except ValueError as error:
        raise StatedWronglyError(f"{error}; None leaves an axis alone") from error
    return spec


def _is_axis(entry: object) -> bool:
    if isinstance(entry, list):
        return bool(entry) and all(_is_part(part) for part in entry)
    if isinstance(entry, str):
        return "=" not in entry
    return entry is None or (isinstance(entry, tuple) and _is_part(entry))


def _is_part(entry: object) -> bool:
    factors = entry if isinstance(entry, tuple) else (entry,)
    return bool(factors) and all(
        (isinstance(factor, str) and STATED.fullmatch(factor)) or (isinstance(factor, int) and factor > 0)
        for factor in factors
    )


def _rescalings(returned: Any, shapes: Shapes) -> RescalingSpec:
    for units in (returned := _list_of(Rescaling, returned)):
        named = (*units.incoming, *units.outgoing, *(units.statistics or ()))
        _refuse_unknown(named, shapes)
        if not units.incoming:
            raise StatedWronglyError(f"{units} has no incoming parameters, expected at least one")
        if flat := [name for name in units.outgoing if len(shapes[name]) < 2]:
            raise StatedWronglyError(
                f"{flat[0]} is listed as outgoing, but has one axis; expected a weight with units on axis 1"
            )
        rows = [(name, shapes[name][0]) for name in (*units.incoming, *(units.statistics or ()))]
        columns = ((name, shapes[name][1]) for name in units.outgoing)
        # After a flattening, a unit has several consecutive columns.
        counts = [*rows, *((name, n if n % rows[0][1] else rows[0][1]) for name, n in columns)]
        if len({count for _, count in counts}) > 1:
            listing = ", ".join(f"{count} of {name}" for name, count in counts)
            raise StatedWronglyError(f"applies one scale to different numbers of units: {listing}")
    return list(returned)


def _attentions(returned: Any, shapes: Shapes) -> list[Attention]:
    for attention in (returned := _list_of(Attention, returned)):
        projections = (attention.query, attention.key, attention.value)
        _refuse_unknown([attention.output], shapes)
        _refuse_unknown((name for part in projections for name in (part.weight, part.bias)), shapes)
        width = shapes[attention.output][-1]
        if attention.heads < 1 or width % attention.heads:
            raise StatedWronglyError(
                f"{attention.output} has {width} columns, which {attention.heads} heads cannot share"
            )
        for name, first in ((name, part.first) for part in projections for name in (part.weight, part.bias)):
            if shapes[name][0] < first + width:
                raise StatedWronglyError(
                    f"{name} has {shapes[name][0]} rows, expected {width} from row {first} on, as many as "
                    f"{attention.output} has columns"
                )
    return list(returned)


def _refuse_unknown(names: Iterable[object], shapes: Shapes) -> None:
    if unknown := [str(name) for name in names if name not in shapes]:
        raise StatedWronglyError(f"names {', '.join(unknown)}, expected names of {', '.join(sorted(shapes))}")


def _list_of(kind: type, returned: Any) -> list[Any]:
    if isinstance(returned, list | tuple) and all(isinstance(item, kind) for item in returned):
        return list(returned)
    raise StatedWronglyError(
        f"returned {returned!r:.100}, expected a list of dwf_steps.symmetry.spec.{kind.__name__}"
    )
