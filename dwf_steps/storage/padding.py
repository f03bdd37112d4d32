"""Networks that differ in width as rows of one layout: the widest one's, with units that are absent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import NetworkState

ATTRIBUTE = "narrower"
WEIGHT, RESPONSES = "weight", "responses"  # the last parts of the names of a layer's weights and coordinates


@dataclass(frozen=True)
class Padding:
    """The place of a network's row in that of a wider network.

    The network's units are the first ones of each layer. All others are absent: their weights, incoming and
    outgoing, or their response coordinates, are zero. A padded multilayer perceptron, or residual network,
    computes what the network does: an absent unit's outgoing weights are zero, and so is what it passes on.

    Attributes
    ----------
    own
        The network's own layout.
    wide
        The wider network's: the same entries in the same order, each of the same number of axes.
    """

    own: Layout
    wide: Layout

    def __post_init__(self) -> None:
        described = [
            [(entry.name, len(entry.shape)) for entry in layout.entries] for layout in (self.own, self.wide)
        ]
        pairs = zip(self.own.entries, self.wide.entries, strict=False)
        fits = described[0] == described[1] and all(
            narrow <= wide
            for one, other in pairs
            for narrow, wide in zip(one.shape, other.shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"a network of {_shapes(self.own)} does not fit into one of {_shapes(self.wide)}"
            )

    @cached_property
    def whole(self) -> bool:
        """Whether the network is as wide as the wider one, so that nothing is padded or cut."""
        return self.own == self.wide

    @cached_property
    def present(self) -> np.ndarray:
        """Which columns of the wide row the network has, (d,) bool, in the order of its own row."""
        found = np.zeros(self.wide.size, bool)
        for own, wide in zip(self.own.entries, self.wide.entries, strict=True):
            found[wide.columns].reshape(wide.shape)[tuple(map(slice, own.shape))] = True
        return found

    def pad(self, rows: np.ndarray, columns: slice = slice(None)) -> np.ndarray:
        """Return own rows (n, d') as wide ones (n, d), zero where units are absent.

        With ``columns`` of the wide rows, these alone, (n, c), given own rows' (n, `own_columns`).
        """
        here = self.present[columns]
        padded = np.zeros((len(rows), len(here)), rows.dtype)
        padded[:, here] = rows
        return padded

    def own_columns(self, columns: slice) -> slice:
        """Return the columns of an own row that lie in some columns of the wide one."""
        start, stop, _ = columns.indices(self.wide.size)
        before = int(np.count_nonzero(self.present[:start]))
        return slice(before, before + int(np.count_nonzero(self.present[start:stop])))

    def cut(self, rows: np.ndarray, columns: slice = slice(None)) -> np.ndarray:
        """Return wide rows (..., d), or some columns of them (..., c), without what is absent."""
        return rows if self.whole else rows[..., self.present[columns]]

    def of_responses(self, coordinates: Layout) -> "Padding":
        """Return the place of the network's response coordinates.

        Parameters
        ----------
        coordinates
            The layout of the wide network's: units of every layer, and parameters that are kept.
        """
        own = {entry.name: entry.shape for entry in self.own.entries}
        shapes = {}
        for entry in coordinates.entries:
            if entry.name in own:
                shapes[entry.name] = own[entry.name]
            else:
                units = own[entry.name.removesuffix(RESPONSES) + WEIGHT][0]
                shapes[entry.name] = (units, *entry.shape[1:])
        return Padding(Layout.of(shapes), coordinates)


def pad_array(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Pad an array of networks to the shape that it has in a wider one.

    Parameters
    ----------
    array
        (n, *own), of n networks.
    shape
        Of one wide network's, no smaller along any axis.

    Returns
    -------
    (n, *shape), zero where units are absent.
    """
    padded = np.zeros((len(array), *shape), array.dtype)
    padded[tuple(map(slice, array.shape))] = array
    return padded


def widest(layouts: Mapping[str, Layout]) -> Layout:
    """Find the layout of the narrowest network that all fit into.

    Parameters
    ----------
    layouts
        By zoo; at least one.

    Returns
    -------
    The layout of the first, each axis as long as that of the longest.

    Raises
    ------
    InputError
        If two have other parameters, or parameters of other numbers of axes.
    """
    (zoo, first), *others = layouts.items()
    described = [(entry.name, len(entry.shape)) for entry in first.entries]
    for name, other in others:
        if [(entry.name, len(entry.shape)) for entry in other.entries] != described:
            raise InputError(
                f"zoo {name!r}: found networks of {_shapes(other)}, but those of zoo {zoo!r} are of "
                f"{_shapes(first)}; expected the same parameters, which may differ in width alone. Join zoos "
                "of one kind of network and one depth"
            )
    every = zip(*(layout.entries for layout in layouts.values()), strict=True)
    return Layout.of({same[0].name: np.max([one.shape for one in same], axis=0).tolist() for same in every})


@dataclass(frozen=True)
class Variant:
    """Networks of one width among those of a matrix.

    Attributes
    ----------
    architecture
        Their architecture's configuration.
    padding
        The place of their rows in the matrix's.
    buffers
        By name, the shape of each buffer of one network.
    """

    architecture: dict[str, Any]
    padding: Padding
    buffers: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, matrix: WeightMatrix, wide: Layout) -> "Variant":
        """Return the networks of a matrix as those of one with a ``wide`` layout."""
        buffers = {name: array.shape[1:] for name, array in matrix.buffers.items()}
        return cls(matrix.architecture, Padding(matrix.layout, wide), buffers)

    def cut_buffers(self, buffers: Mapping[str, np.ndarray]) -> NetworkState[np.ndarray]:
        """Return the buffers of a wide network without what is absent."""
        return {name: array[tuple(map(slice, self.buffers[name]))] for name, array in buffers.items()}


def write_narrower(matrix: WeightMatrix, zoos: Mapping[str, Variant]) -> None:
    """Store in a matrix which of its zoos have networks that are narrower than its layout.

    Parameters
    ----------
    matrix
        The matrix, opened for writing.
    zoos
        The zoos by name; none where all have the matrix's layout.
    """
    matrix.array.attrs[ATTRIBUTE] = {
        zoo: {
            "architecture": one.architecture,
            "layout": one.padding.own.to_json(),
            "buffers": {name: list(shape) for name, shape in one.buffers.items()},
        }
        for zoo, one in zoos.items()
    }


def copy_narrower(source: WeightMatrix, responses: WeightMatrix) -> None:
    """Store in a matrix of response coordinates which of its zoos have narrower networks.

    Parameters
    ----------
    source
        The networks' weights.
    responses
        Their coordinates, opened for writing.
    """
    found = {
        zoo: replace(one, padding=one.padding.of_responses(responses.layout))
        for zoo, one in read_narrower(source).items()
    }
    if found:
        write_narrower(responses, found)


def read_narrower(matrix: WeightMatrix) -> dict[str, Variant]:
    """Read which zoos of a matrix have networks that are narrower than its layout.

    Parameters
    ----------
    matrix
        The matrix.

    Returns
    -------
    The zoos by name; none of a matrix that joins no zoos, or zoos of one architecture.
    """
    stored: Any = matrix.array.attrs.get(ATTRIBUTE, {})
    return {
        zoo: Variant(
            one["architecture"],
            Padding(Layout.from_json(one["layout"]), matrix.layout),
            {name: tuple(shape) for name, shape in one["buffers"].items()},
        )
        for zoo, one in stored.items()
    }


def variants_of(matrix: WeightMatrix, zoos: Sequence[str | None]) -> tuple[list[Variant], np.ndarray]:
    """Tell the widths of a matrix's networks apart, zoo by zoo.

    Parameters
    ----------
    matrix
        The matrix.
    zoos
        A zoo for each of n networks; None where it is of no zoo, and has the matrix's layout.

    Returns
    -------
    The variants, of which the first has the matrix's layout, and the numbers of the networks', (n,).
    """
    narrower = read_narrower(matrix)
    numbers = {zoo: number for number, zoo in enumerate(narrower, start=1)}
    variants = [Variant.of(matrix, matrix.layout), *narrower.values()]
    return variants, np.array([numbers.get(zoo or "", 0) for zoo in zoos], np.intp)


def present_by_zoo(matrix: WeightMatrix, zoos: Sequence[str]) -> np.ndarray | None:
    """Tell which columns the networks of each zoo have.

    Parameters
    ----------
    matrix
        The matrix, of d columns.
    zoos
        Its zoos.

    Returns
    -------
    (zoos, d) bool; None where all networks have all columns.
    """
    variants, numbers = variants_of(matrix, zoos)
    if len(variants) == 1:
        return None
    return np.stack([variants[number].padding.present for number in numbers])


def _shapes(layout: Layout) -> str:
    return ", ".join(f"{entry.name} {'x'.join(map(str, entry.shape))}" for entry in layout.entries)
