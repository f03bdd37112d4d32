"""Axes of arrays that must be permuted together, found by unification."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

REPEATED = 64  # copies of one part of an axis that are written out at most


@dataclass(eq=False)
class Units:
    """Units along an axis, whose order may be permuted.

    Attributes
    ----------
    size
        Their number.
    fixed
        Whether the order must be kept.
    uniform
        Whether all are alike, as in arrays of zeros or along expanded axes, so that any order fits.
    scaled
        Whether the values that depend on them may be positively homogeneous in each.
    same
        The units that these were unified with; None if they stand for themselves.
    made_of
        The axis that these turned out to consist of, if they do.
    split
        The open reshape that these are part of, if there is one.
    """

    size: int
    fixed: bool = False
    uniform: bool = False
    scaled: bool = True
    same: Units | None = None
    made_of: Dimension | None = None
    split: Split | None = None


Part = tuple[Units, ...]
"""A product of units, the outermost first, as in a flattened array."""
Dimension = tuple[Part, ...]
"""Concatenated parts. Units of size 1 are left out, so that an axis of length 1 is ``((),)``."""


@dataclass(eq=False)
class Split:
    """An axis that was reshaped into several, while it is open how its units are divided.

    The first of the new axes may choose among different units (queries, keys and values of a fused
    projection), or repeat the others.

    Attributes
    ----------
    axis
        The axis before the reshape.
    units
        The units of each new axis, the outermost first.
    done
        Whether the division is settled.
    """

    axis: Dimension
    units: list[Units]
    done: bool = False


def fresh(size: int) -> Dimension:
    """Return an axis of units about which nothing is known.

    Parameters
    ----------
    size
        Its length.

    Returns
    -------
    The axis; ``((),)``, without units, if ``size`` is 1.
    """
    return ((Units(size),) if size > 1 else (),)


def fixed(size: int) -> Dimension:
    """Return an axis whose entries keep their places.

    Parameters
    ----------
    size
        Its length.

    Returns
    -------
    The axis; ``((),)``, without units, if ``size`` is 1.
    """
    return ((Units(size, fixed=True, scaled=False),) if size > 1 else (),)


def uniform(size: int) -> Dimension:
    """Return an axis along which all entries are alike.

    Parameters
    ----------
    size
        Its length.

    Returns
    -------
    The axis; ``((),)``, without units, if ``size`` is 1.
    """
    return ((Units(size, uniform=True),) if size > 1 else (),)


def length(axis: Dimension) -> int:
    """Return the length of an axis.

    Parameters
    ----------
    axis
        The axis.

    Returns
    -------
    The number of its entries.
    """
    return sum(_size(part) for part in axis)


def _size(part: Part) -> int:
    return math.prod(units.size for units in part)


def root(units: Units) -> Units:
    """Return the units that represent all those unified with the given ones.

    Parameters
    ----------
    units
        Units.

    Returns
    -------
    The units at the end of the chain of ``same``.
    """
    while units.same is not None:
        units = units.same
    return units


def resolve(axis: Dimension) -> Dimension:
    """Replace the units of an axis by those they were unified with or turned out to consist of.

    Open reshapes are settled: the reshaped axis becomes the product of the new axes.

    Parameters
    ----------
    axis
        The axis.

    Returns
    -------
    The axis in its simplest units.
    """
    found: list[Part] = []
    for part in axis:
        parts: list[Part] = [()]
        for units in reversed(part):
            parts = _times(_resolved(units), parts)
        found.extend(parts)
    return tuple(found)


def _resolved(units: Units) -> Dimension:
    units = root(units)
    if units.split is not None and not units.split.done:
        split = units.split
        split.done = True
        unify(split.axis, (tuple(split.units),))
        units = root(units)
    return ((units,),) if units.made_of is None else resolve(units.made_of)


def _times(outer: Dimension, inner: list[Part]) -> list[Part]:
    """Return the parts of the product of an axis with others inside."""
    if len(inner) == 1:
        return [(*part, *inner[0]) for part in outer]
    fix(outer)
    if length(outer) > REPEATED:
        fix(tuple(inner))
        return list(fixed(length(outer) * length(tuple(inner))))
    return inner * length(outer)


def product(axes: Sequence[Dimension]) -> Dimension:
    """Return the axis that flattening several axes results in.

    Parameters
    ----------
    axes
        The axes, the outermost first.

    Returns
    -------
    The flattened axis.
    """
    if len(axes) == 1:
        return axes[0]
    parts: list[Part] = [()]
    for axis in reversed(axes):
        parts = _times(axis if len(axis) == 1 else resolve(axis), parts)
    return tuple(parts)


def fix(axis: Dimension) -> None:
    """Make the entries of an axis keep their places, except where they are uniform.

    Parameters
    ----------
    axis
        The axis.
    """
    for part in resolve(axis):
        for units in part:
            if not units.uniform:
                units.fixed, units.scaled = True, False


def forbid_scales(axis: Dimension) -> None:
    """Note that values do not depend homogeneously on the units of an axis.

    Open reshapes stay open.

    Parameters
    ----------
    axis
        The axis.
    """
    for part in axis:
        for units in map(root, part):
            units.scaled = False
            divided = units.split.axis if units.split is not None and not units.split.done else None
            for inner in (units.made_of, divided):
                if inner is not None:
                    forbid_scales(inner)


def is_uniform(axis: Dimension) -> bool:
    """Return whether all entries of an axis are alike.

    Parameters
    ----------
    axis
        The axis.

    Returns
    -------
    Whether all of its units are uniform.
    """
    return all(units.uniform for part in axis for units in part)


def same_units(one: Dimension, other: Dimension) -> bool:
    """Return whether two axes are known to consist of the same units.

    Parameters
    ----------
    one, other
        The axes, of any length.

    Returns
    -------
    True if they are; False if they differ or are not unified yet.
    """
    return len(one) == len(other) and all(
        len(part) == len(others) and all(root(a) is root(b) for a, b in zip(part, others, strict=True))
        for part, others in zip(one, other, strict=True)
    )


def unify(one: Dimension, other: Dimension) -> Dimension:
    """Require that two axes are permuted alike.

    Parameters
    ----------
    one, other
        The axes, of the same length.

    Returns
    -------
    The axis that both have become.
    """
    if same_units(one, other) or is_uniform(other):
        return one
    if is_uniform(one):
        return other
    left, right, found = list(resolve(one)), list(resolve(other)), list[Part]()
    while left:
        sizes = _size(left[0]), _size(right[0])
        if sizes[0] == sizes[1]:
            found.extend(_unify_parts(left.pop(0), right.pop(0)))
        elif sizes[0] > sizes[1]:
            left[:1] = _cut(left[0], sizes[1])
        else:
            right[:1] = _cut(right[0], sizes[0])
        left, right = list(resolve(tuple(left))), list(resolve(tuple(right)))
    return resolve(tuple(found))


def _unify_parts(one: Part, other: Part) -> Dimension:
    """Unify two products of the same size."""
    if is_uniform((one,)):
        return (other,)
    if is_uniform((other,)):
        return (one,)
    left, right, found = list(one), list(other), list[Units]()
    while left and right:
        a, b = left[0], right[0]
        if a.size == b.size:
            left.pop(0)
            right.pop(0)
            found.append(_unify_units(a, b))
        elif a.size > b.size and a.size % b.size == 0:
            left[:1] = _divide(a, [b.size, a.size // b.size])
        elif b.size % a.size == 0 and b.size > a.size:
            right[:1] = _divide(b, [a.size, b.size // a.size])
        else:
            fix((one,))
            fix((other,))
            return fixed(_size(one))
        left, right = ([root(units) for units in side] for side in (left, right))
        if any(units.made_of is not None for units in (*left, *right)):
            rest = unify((tuple(left),), (tuple(right),)) if left else ((),)
            return resolve(product([(tuple(found),), rest]))
    return (tuple(found),)


def _unify_units(one: Units, other: Units) -> Units:
    one, other = root(one), root(other)
    if one is other or other.uniform:
        return one
    if one.uniform:
        return other
    other.same = one
    one.fixed |= other.fixed
    one.scaled &= other.scaled
    return one


def _like(units: Units, size: int) -> Units:
    return Units(size, units.fixed, units.uniform, units.scaled)


def _divide(units: Units, sizes: Sequence[int]) -> list[Units]:
    """Divide units into a product of units."""
    parts = [_like(units, size) for size in sizes if size > 1]
    if not (units.uniform or units.fixed):
        units.made_of = (tuple(parts),)
    return parts


def _cut(part: Part, size: int) -> list[Part]:
    """Cut a product in two, the first of which has ``size`` entries."""
    first, *inner = part
    entries = _size(tuple(inner))
    if size % entries:
        fix((part,))
        return [*fixed(size), *fixed(_size(part) - size)]
    pieces = [_like(first, size // entries), _like(first, first.size - size // entries)]
    if not (first.uniform or first.fixed):
        first.made_of = tuple((units,) if units.size > 1 else () for units in pieces)
    return [tuple(units for units in (own, *inner) if units.size > 1) for own in pieces]


def cut(axis: Dimension, sizes: Sequence[int]) -> list[Dimension]:
    """Cut an axis into consecutive parts.

    Parameters
    ----------
    axis
        The axis.
    sizes
        The lengths of the parts, which add up to that of the axis.

    Returns
    -------
    The parts.
    """
    if len(sizes) == 1:
        return [axis]
    waiting, found = list(resolve(axis)), list[Dimension]()
    for size in sizes:
        taken: list[Part] = []
        while length(tuple(taken)) < size:
            missing = size - length(tuple(taken))
            if _size(waiting[0]) > missing:
                waiting = list(resolve((*_cut(waiting[0], missing), *waiting[1:])))
            else:
                taken.append(waiting.pop(0))
        found.append(resolve(tuple(taken)))
    return [resolve(axis) for axis in found]


def reshape(axis: Dimension, sizes: Sequence[int]) -> list[Dimension]:
    """Divide an axis into several, as a reshape does.

    Parameters
    ----------
    axis
        The axis.
    sizes
        The lengths of the new axes, whose product is that of the axis.

    Returns
    -------
    The new axes, the outermost first.
    """
    counted = [size for size in sizes if size > 1]
    if len(counted) < 2:
        whole = [axis] if counted else []
        return [whole.pop() if size > 1 else ((),) for size in sizes]
    if len(axis) == 1 and any(root(units).made_of is not None for units in axis[0]):
        axis = resolve(axis)
    found = _reshape_parts(axis, counted) if len(axis) > 1 else _reshape_product(axis[0], counted)
    return [found.pop(0) if size > 1 else ((),) for size in sizes]


def _open(axis: Dimension, sizes: Sequence[int]) -> list[Dimension]:
    """Divide an axis and leave open how its units are divided."""
    split = Split(axis, [])
    split.units = [Units(size, split=split) for size in sizes]
    return [((units,),) for units in split.units]


def _reshape_parts(axis: Dimension, sizes: list[int]) -> list[Dimension]:
    inner = math.prod(sizes[1:])
    parts = [_size(part) for part in axis]
    if all(size == inner for size in parts):
        return _open(axis, sizes)
    if any(size % inner for size in parts):
        fix(axis)
        return [fixed(size) for size in sizes]
    divided = [reshape((part,), [_size(part) // inner, *sizes[1:]]) for part in axis]
    first: Dimension = tuple(part for own, *_ in divided for part in own)
    rest = divided[0][1:]
    for _, *others in divided[1:]:
        rest = [unify(one, other) for one, other in zip(rest, others, strict=True)]
    return [first, *rest]


def _reshape_product(part: Part, sizes: list[int]) -> list[Dimension]:
    """Distribute the units of a product over axes from the innermost on, dividing units where necessary."""
    waiting = [root(units) for units in part]
    missing = {number: units.size for number, units in enumerate(waiting)}
    shares: list[list[tuple[int, int]]] = [[] for _ in sizes]  # by axis: indices into waiting, and sizes
    number = len(waiting) - 1
    for place in reversed(range(len(sizes))):
        needed = sizes[place]
        while needed > 1:
            taken = min(needed, missing[number])
            if needed % taken or missing[number] % taken:
                fix((part,))
                return [fixed(size) for size in sizes]
            shares[place].insert(0, (number, taken))
            needed //= taken
            missing[number] //= taken
            number -= missing[number] == 1
    divided: dict[int, list[Dimension]] = {}
    for number, units in enumerate(waiting):
        own = [taken for share in shares for which, taken in share if which == number]
        if len(own) == 1:
            divided[number] = [((units,),)]
        elif units.fixed or units.uniform:
            divided[number] = [((_like(units, size),),) for size in own]
        else:
            divided[number] = _open(((units,),), own)
    return [product([divided[number].pop(0) for number, _ in share]) for share in shares]


def select(axes: Sequence[Dimension], place: int, index: int) -> list[Dimension]:
    """Return the axes of an array after one entry of an axis is selected.

    Parameters
    ----------
    axes
        The axes of the array.
    place
        The axis to select from, which is removed.
    index
        The entry to select.

    Returns
    -------
    The remaining axes.
    """
    axis, others = axes[place], [own for number, own in enumerate(axes) if number != place]
    split = _first_of(axis)
    if split is None:
        fix(axis)
        return others
    sizes = [units.size for units in split.units]
    chosen = cut(split.axis, [math.prod(sizes[1:])] * sizes[0])[index]
    replaced = dict(zip(split.units[1:], reshape(chosen, sizes[1:]), strict=True))
    return [replaced.get(own[0][0], own) if len(own) == len(own[0]) == 1 else own for own in others]


def _first_of(axis: Dimension) -> Split | None:
    """Return the open reshape whose outermost axis this is, or None."""
    if len(axis) != 1 or len(axis[0]) != 1:
        return None
    units = axis[0][0]
    split = units.split
    return split if split is not None and not split.done and split.units[0] is units else None


def all_units(axes: Iterable[Dimension]) -> list[Units]:
    """Return the units that axes consist of.

    Parameters
    ----------
    axes
        The axes.

    Returns
    -------
    The units without repetitions, in order.
    """
    return list(dict.fromkeys(units for axis in axes for part in resolve(axis) for units in part))
