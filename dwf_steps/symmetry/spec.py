"""Symmetries of an architecture as plain data."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Factors = tuple[str | int, ...]
Axis = str | None | Factors | list[str | int | Factors]
"""How one axis is permuted: the name of a permutation of the whole axis; None for none; or blocks.

A tuple divides the axis as a reshape does. In ``("units", 49)`` each unit has 49 consecutive entries, as
channels have after a flatten; in ``(3, "units")`` the units are repeated three times, as in the gates of a
GRU; in ``("groups", "within")`` two permutations act. A list concatenates parts, such as
``["first", ("second", 4), 10]``. Numbers count entries that keep their places. ``"groups=4"`` states a number
of units that does not follow from other axes.
"""
PermutationSpec = dict[str, tuple[Axis, ...]]
"""parameter -> for each axis, the permutation that acts on it (None: not permuted)."""
PlainSpec = dict[str, tuple[str | None, ...]]
"""A specification in which permutations only act on whole axes."""


def named_in(axis: Axis) -> tuple[str, ...]:
    """Return the permutations that act on an axis or on blocks of it.

    Parameters
    ----------
    axis
        The entry of a specification.

    Returns
    -------
    Their names, in the order of the axis.
    """
    return tuple(factor for part in _parts(axis, 0) for factor in part if isinstance(factor, str))


def _parts(axis: Axis, length: int) -> list[Factors]:
    """Return the consecutive parts of an axis, without stated numbers of units."""
    if axis is None:
        return [(length,)]
    parts = axis if isinstance(axis, list) else [axis]
    return [
        tuple(_stated(factor)[0] if isinstance(factor, str) else factor for factor in factors)
        for factors in (part if isinstance(part, tuple) else (part,) for part in parts)
    ]


def _stated(factor: str) -> tuple[str, int | None]:
    """Return a permutation's name, and the number of units if it is stated."""
    name, equals, count = factor.partition("=")
    return name, int(count) if equals else None


def _stated_counts(axes: Iterable[Axis]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for axis in axes:
        for part in axis if isinstance(axis, list) else [axis]:
            for factor in part if isinstance(part, tuple) else (part,):
                if isinstance(factor, str) and (found := _stated(factor))[1] is not None:
                    counts[found[0]] = found[1]
    return counts


def unit_counts(
    shapes: Mapping[str, tuple[int, ...]], spec: Mapping[str, tuple[Axis, ...]]
) -> dict[str, int]:
    """Return the number of units that each permutation acts on.

    Parameters
    ----------
    shapes
        The arrays' shapes.
    spec
        The permutations that act on each of their axes.

    Returns
    -------
    Numbers of units, in the order in which the specification names the permutations.

    Raises
    ------
    ValueError
        If two axes that share a permutation differ in length, if the blocks of an axis do not add up to its
        length, or if a number does not follow.
    """
    axes = _Place.of(shapes, spec)
    counts, open_axes = _counted(axes)
    if open_axes:
        place = open_axes[0]
        unknown = dict.fromkeys(p for p in named_in(place.axis) if p not in counts)
        raise ValueError(
            f"{place} has {place.axis}, from which the numbers of units of {', '.join(unknown)} do not "
            "follow; name each on an axis where it stands alone, or state its number, as in 'groups=4'"
        )
    for place in axes:
        found = sum(math.prod(_sizes(part, counts)) for part in _parts(place.axis, place.length))
        if found != place.length:
            raise ValueError(f"{place} has {place.length} entries, {place.axis} are {found}")
    order = dict.fromkeys(p for place in axes for p in named_in(place.axis))
    return {permutation: counts[permutation] for permutation in order}


def uncounted(shapes: Mapping[str, tuple[int, ...]], spec: PermutationSpec) -> list[str]:
    """Return the permutations whose number of units does not follow from a specification.

    Parameters
    ----------
    shapes
        The arrays' shapes.
    spec
        The permutations that act on each of their axes.

    Returns
    -------
    Their names.

    Raises
    ------
    ValueError
        If axes contradict each other.
    """
    counts, open_axes = _counted(_Place.of(shapes, spec))
    return list(dict.fromkeys(p for place in open_axes for p in named_in(place.axis) if p not in counts))


@dataclass(frozen=True)
class _Place:
    """One axis of one array, and how it is permuted."""

    name: str
    number: int
    length: int
    axis: Axis

    def __str__(self) -> str:
        return f"axis {self.number} of {self.name}"

    @classmethod
    def of(
        cls, shapes: Mapping[str, tuple[int, ...]], spec: Mapping[str, tuple[Axis, ...]]
    ) -> list["_Place"]:
        return [
            cls(name, number, shapes[name][number], axis)
            for name, axes in spec.items()
            for number, axis in enumerate(axes)
            if axis is not None
        ]


def _counted(axes: list[_Place]) -> tuple[dict[str, int], list[_Place]]:
    """Return the numbers of units that follow, and the axes with permutations whose numbers do not."""
    counts = _stated_counts(place.axis for place in axes)
    for place in axes:
        axis = place.axis
        if isinstance(axis, str) and counts.setdefault(axis, place.length) != place.length:
            raise ValueError(f"{place} has {place.length} units, other axes of {axis} have {counts[axis]}")
    waiting, known = axes, -1
    while waiting and known < len(counts):
        known = len(counts)
        waiting = [place for place in waiting if not _count(place, counts)]
    return counts, waiting


def _sizes(part: Factors, counts: Mapping[str, int]) -> list[int]:
    return [counts[factor] if isinstance(factor, str) else factor for factor in part]


def _count(place: _Place, counts: dict[str, int]) -> bool:
    """Count the units of an axis's only unknown permutation; return whether all are known now."""
    unknown = [p for p in named_in(place.axis) if p not in counts]
    if len(unknown) == 1:
        each = others = 0
        for part in _parts(place.axis, place.length):
            size = math.prod(_sizes(part, {**counts, unknown[0]: 1}))
            each, others = (each + size, others) if unknown[0] in part else (each, others + size)
        units, rest = divmod(place.length - others, each)
        if rest or units < 1:
            raise ValueError(
                f"{place} has {place.length} entries, which {place.axis} cannot make up for any number of "
                f"units of {unknown[0]}"
            )
        counts[unknown[0]] = units
    return len(unknown) < 2


@dataclass(frozen=True)
class Piece:
    """A part of arrays (n, *shape), each axis of which is permuted as a whole or not at all.

    Attributes
    ----------
    slices
        Its range along each axis of the array.
    shape
        Its shape after blocks are divided into axes.
    axes
        The permutation that acts on each of these axes.
    """

    slices: tuple[slice, ...]
    shape: tuple[int, ...]
    axes: tuple[str | None, ...]

    def of(self, array: np.ndarray) -> np.ndarray:
        """Return the piece (n, *shape) of an array."""
        part = array[(slice(None), *self.slices)]
        return part.reshape(len(part), *self.shape)


def pieces(shapes: Mapping[str, tuple[int, ...]], spec: PermutationSpec) -> dict[str, list[Piece]]:
    """Divide arrays into pieces on whose axes permutations act as a whole.

    Parameters
    ----------
    shapes
        The arrays' shapes.
    spec
        The permutations that act on each of their axes.

    Returns
    -------
    The pieces of each array that the specification names: only one if no axis has several parts.

    Raises
    ------
    ValueError
        As `unit_counts`.
    """
    counts = unit_counts(shapes, spec)
    return {name: list(_pieces(shapes[name], axes, counts)) for name, axes in spec.items()}


def _pieces(shape: tuple[int, ...], axes: Sequence[Axis], counts: Mapping[str, int]) -> Iterator[Piece]:
    places: list[list[tuple[slice, Factors]]] = []
    for length, axis in zip(shape, axes, strict=True):
        parts, start = [], 0
        for part in _parts(axis, length):
            size = math.prod(_sizes(part, counts))
            parts.append((slice(start, start + size), part))
            start += size
        places.append(parts)
    for chosen in itertools.product(*places):
        factors = [factor for _, part in chosen for factor in part]
        yield Piece(
            tuple(place for place, _ in chosen),
            tuple(_sizes(tuple(factors), counts)),
            tuple(factor if isinstance(factor, str) else None for factor in factors),
        )


def order_of_entries(axis: Axis, length: int, orders: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return how permutations reorder the entries of an axis.

    Parameters
    ----------
    axis
        How the axis is permuted.
    length
        The length of the axis.
    orders
        The unit that moves to each place, (n, units) for each permutation.

    Returns
    -------
    The entry that moves to each place, (n, length).
    """
    parts, start = [], 0
    for part in _parts(axis, length):
        entries = np.zeros((1, 1), dtype=np.int64)
        for factor in part:
            order = orders[factor] if isinstance(factor, str) else np.arange(factor)[None]
            entries = (entries[:, :, None] * order.shape[1] + order[:, None, :]).reshape(
                max(len(entries), len(order)), -1
            )
        parts.append(entries + start)
        start += entries.shape[1]
    n = max(map(len, parts))
    return np.concatenate([np.broadcast_to(entries, (n, entries.shape[1])) for entries in parts], axis=1)


def hidden_units(permutation: str, incoming: str, outgoing: str) -> PermutationSpec:
    """Specify the permutation of the units between two linear layers.

    Parameters
    ----------
    permutation
        Its name.
    incoming, outgoing
        Names of the layers; both have a ``weight``, the first one a ``bias``.

    Returns
    -------
    The specification of these parameters.
    """
    return {
        f"{incoming}.weight": (permutation, None),
        f"{incoming}.bias": (permutation,),
        f"{outgoing}.weight": (None, permutation),
    }


def with_buffers(spec: PermutationSpec, buffers: Mapping[str, tuple[int, ...]]) -> PermutationSpec:
    """Add buffers to a specification.

    Parameters
    ----------
    spec
        The permutations that act on each axis of each parameter.
    buffers
        Shapes of the buffers.

    Returns
    -------
    The specification of parameters and buffers. Running statistics that it did not name are permuted like the
    weight of their norm; other buffers are not permuted.
    """
    added = {}
    for name, shape in buffers.items():
        norm, _, what = name.rpartition(".")
        unmoved = (None,) * len(shape)
        added[name] = spec.get(f"{norm}.weight", unmoved) if what.startswith("running_") else unmoved
    return added | spec


@dataclass(frozen=True)
class Rescaling:
    """Units whose incoming and outgoing parameters may be scaled inversely without changing the function.

    Attributes
    ----------
    incoming
        Parameters whose first axis indexes the units; the rows of the first one are scaled to unit norm.
    outgoing
        Weights whose second axis indexes the units; after a flatten, each unit has the same number of
        consecutive entries. Empty if batch norm follows.
    statistics
        Running mean and variance of that batch norm, which are scaled like incoming parameters.
    """

    incoming: tuple[str, ...]
    outgoing: tuple[str, ...] = ()
    statistics: tuple[str, str] | None = None


RescalingSpec = list[Rescaling]
"""The scaling symmetries in the order in which units are scaled."""


@dataclass(frozen=True)
class Projection:
    """The projection to queries, keys or values: consecutive rows of a weight and a bias, head by head.

    Attributes
    ----------
    weight, bias
        Names of the parameters.
    first
        The first of the rows.
    """

    weight: str
    bias: str
    first: int = 0


@dataclass(frozen=True)
class Attention:
    """One multi-head attention.

    Attributes
    ----------
    query, key, value
        The projections.
    output
        Name of the output projection's weight, whose columns read the heads' outputs.
    heads
        The number of heads.
    """

    query: Projection
    key: Projection
    value: Projection
    output: str
    heads: int

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its weights and biases, without the output's bias, which belongs to no head."""
        projections = (self.query, self.key, self.value)
        return (*(name for part in projections for name in (part.weight, part.bias)), self.output)


@dataclass(frozen=True)
class SymmetrySpec:
    """All symmetries of an architecture.

    Attributes
    ----------
    parameters
        Names of the arrays that are not buffers, in row order.
    permutations
        The permutations that act on each axis of each array.
    attentions
        Attentions whose heads, and dimensions within heads, may be permuted.
    rescalings
        Positive scaling symmetries of units; None if none are known.
    """

    parameters: tuple[str, ...]
    permutations: PermutationSpec
    attentions: tuple[Attention, ...] = ()
    rescalings: RescalingSpec | None = None

    @property
    def streams_move(self) -> bool:
        """Whether permutations act on the input of attention heads."""
        queries = (attention.query.weight for attention in self.attentions)
        return any(named_in(axes[1]) for name in queries if len(axes := self.permutations.get(name, ())) > 1)
