"""Networks as one token per unit.

A unit's token holds its incoming weights, its bias and its outgoing weights; among responses, its
coordinates.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from dwf_steps.storage.layout import Layout
from dwf_steps.symmetry.spec import PermutationSpec, pieces


@dataclass(frozen=True)
class UnitTokens:
    """The weights, or response coordinates, of each unit in a row.

    Attributes
    ----------
    groups
        Columns of the row for each layer of interchangeable units, (units, features). The last group is a
        single token with the weights that belong to no unit, such as the output's biases.
    placed
        Indices of the groups whose units are distinguished by position, such as outputs.
    """

    groups: tuple[np.ndarray, ...]
    placed: frozenset[int] = frozenset()

    @classmethod
    def of(cls, layout: Layout, spec: PermutationSpec) -> "UnitTokens":
        """Assign every weight to one unit: the one that it leads to, or comes from if it leads to an output.

        Parameters
        ----------
        layout
            Columns of each parameter in a row.
        spec
            parameter -> axis -> the layer whose units the axis indexes, None for inputs and outputs.
        """
        units: dict[str, list[np.ndarray]] = {}
        rest = []
        shapes = {entry.name: entry.shape for entry in layout.entries}
        parts = pieces(shapes, {name: spec[name] for name in shapes})
        for entry in layout.entries:
            whole = np.arange(entry.columns.start, entry.columns.stop).reshape(1, *entry.shape)
            for piece in parts[entry.name]:
                (columns,) = piece.of(whole)
                owners = [(axis, layer) for axis, layer in enumerate(piece.axes) if layer is not None]
                if not owners:
                    rest.append(columns.reshape(1, -1))
                    continue
                axis, layer = owners[0]
                units.setdefault(layer, []).append(
                    np.moveaxis(columns, axis, 0).reshape(piece.shape[axis], -1)
                )
        groups = [np.concatenate(parts, axis=1) for parts in units.values()]
        return cls((*groups, *([np.concatenate(rest, axis=1)] if rest else [])))

    @classmethod
    def of_responses(
        cls, layout: Layout, parameters: Collection[str], positions: bool = False
    ) -> "UnitTokens":
        """Assign response coordinates to their units; parameters kept as weights form a single token.

        Decoding a layer's responses does not depend on the order of the units before it, so units of a layer
        are interchangeable, unless layers share their units as in a residual stream. Units of the last layer
        are the outputs, which are distinguished by position.

        Parameters
        ----------
        layout
            Columns of each layer's coordinates (units, r), in execution order, and of the parameters that are
            kept.
        parameters
            Names of the parameters that are kept as weights.
        positions
            Whether all units are distinguished by position.
        """
        groups, rest = [], []
        for entry in layout.entries:
            columns = np.arange(entry.columns.start, entry.columns.stop)
            if entry.name in parameters:
                rest.append(columns)
            else:
                groups.append(columns.reshape(entry.shape))
        layers = len(groups)
        if rest:
            groups.append(np.concatenate(rest)[None])
        return cls(tuple(groups), frozenset(range(len(groups)) if positions else [layers - 1]))

    def within(self, columns: np.ndarray) -> "UnitTokens":
        """Return the tokens of rows that consist of these sorted ``columns``, renumbered from 0."""
        inside = [np.isin(group, columns).all(axis=0) for group in self.groups]
        kept = [number for number, features in enumerate(inside) if features.any()]
        groups = [np.searchsorted(columns, self.groups[number][:, inside[number]]) for number in kept]
        return UnitTokens(tuple(groups), frozenset(map(kept.index, self.placed & set(kept))))

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Number of units and of features of every group."""
        return [(len(group), group.shape[1]) for group in self.groups]

    @property
    def size(self) -> int:
        """Number of weights, d."""
        return sum(group.size for group in self.groups)

    def statistics(
        self, rows: np.ndarray, present: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute mean and standard deviation of every weight, shared by all units of a layer.

        Weights of units with positions have their own. The standard deviation of constant weights is 1.

        Parameters
        ----------
        rows
            (n, d).
        present
            Which weights each network has, (n, d) bool; None for all. The others are ignored.

        Returns
        -------
        Means and standard deviations, each (d,).
        """
        shift, scale = np.empty(rows.shape[1]), np.empty(rows.shape[1])
        for number, group in enumerate(self.groups):
            columns = group.reshape(1, -1) if number in self.placed else group
            values = rows[:, columns].reshape(-1, columns.shape[1])
            if present is None:
                shift[columns], scale[columns] = values.mean(axis=0, dtype=np.float64), spread(values)
                continue
            known = present[:, columns].reshape(values.shape)
            for feature, column in enumerate(columns.T):
                found = values[known[:, feature], feature][:, None]
                shift[column], scale[column] = (found.mean(), spread(found)[0]) if len(found) else (0, 1)
        return shift, scale


def spread(values: np.ndarray) -> np.ndarray:
    """Compute the standard deviation of every column.

    Parameters
    ----------
    values
        (n, k).

    Returns
    -------
    The standard deviations, (k,) float64; 1 where they are below float32's resolution relative to the values.
    """
    std = values.std(axis=0, dtype=np.float64)
    smallest = np.finfo(np.float32).eps * np.abs(values).max(axis=0)
    spreads: np.ndarray = np.where(std > smallest, std, 1.0)
    return spreads
