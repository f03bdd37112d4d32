"""Symmetries as plain data, read off an architecture."""

from collections.abc import Mapping
from dataclasses import dataclass

PermutationSpec = dict[str, tuple[str | None, ...]]
"""parameter -> for each axis, the permutation that acts on it (None: no freedom there)."""


def unit_counts(shapes: Mapping[str, tuple[int, ...]], spec: PermutationSpec) -> dict[str, int]:
    """Return how many units each permutation acts on.

    Raises
    ------
    ValueError
        If two axes that share a permutation differ in length, or are of one parameter.
    """
    counts: dict[str, int] = {}
    for name, axes in spec.items():
        for axis, permutation in enumerate(axes):
            if permutation is not None:
                if permutation in axes[:axis]:
                    raise ValueError(
                        f"{permutation} acts on two axes of {name}, so that its best choice is no linear "
                        "assignment; that is not supported"
                    )
                found = shapes[name][axis]
                if counts.setdefault(permutation, found) != found:
                    raise ValueError(
                        f"axis {axis} of {name} has {found} units, other axes of {permutation} have "
                        f"{counts[permutation]}"
                    )
    return counts


def hidden_units(permutation: str, incoming: str, outgoing: str) -> PermutationSpec:
    """Return how the units between two linear layers, of these names, are permuted."""
    return {
        f"{incoming}.weight": (permutation, None),
        f"{incoming}.bias": (permutation,),
        f"{outgoing}.weight": (None, permutation),
    }


def with_buffers(spec: PermutationSpec, buffers: Mapping[str, tuple[int, ...]]) -> PermutationSpec:
    """Return the spec with the buffers, of the shapes given, that it does not name: running statistics follow
    their normalisation's weight, all others stay as they are."""
    added = {}
    for name, shape in buffers.items():
        norm, _, what = name.rpartition(".")
        unmoved = (None,) * len(shape)
        added[name] = spec.get(f"{norm}.weight", unmoved) if what.startswith("running_") else unmoved
    return added | spec


@dataclass(frozen=True)
class Rescaling:
    """Units whose positive scale changes nothing: that of what comes in, of which the first parameter's rows
    get unit norm, and inversely of what goes out.

    Attributes
    ----------
    incoming
        Parameters whose first axis are the units.
    outgoing
        Weights whose second axis are the units; none where batch normalisation follows.
    statistics
        Its running mean and variance, which follow what comes in, and are no parameters.
    """

    incoming: tuple[str, ...]
    outgoing: tuple[str, ...] = ()
    statistics: tuple[str, str] | None = None


RescalingSpec = list[Rescaling]
"""In the order in which units are scaled."""


@dataclass(frozen=True)
class Projection:
    """What makes queries, keys or values: rows of ``weight`` and ``bias`` from ``first`` on, head by head."""

    weight: str
    bias: str
    first: int = 0


@dataclass(frozen=True)
class Attention:
    """One multi-head attention: its projections, and the ``output`` weight, whose columns are what the heads
    say."""

    query: Projection
    key: Projection
    value: Projection
    output: str
    heads: int


@dataclass(frozen=True)
class SymmetrySpec:
    """All symmetries of one architecture's networks.

    Attributes
    ----------
    parameters
        Names of the arrays that are no buffers, in row order.
    permutations
        Which permutation acts on which axis of which array.
    attentions
        Those whose heads, and dimensions within heads, may be permuted.
    rescalings
        Positive scales of units; None where no such symmetry is known.
    """

    parameters: tuple[str, ...]
    permutations: PermutationSpec
    attentions: tuple[Attention, ...] = ()
    rescalings: RescalingSpec | None = None
