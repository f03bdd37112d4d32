"""A network's weights as tokens, one a hidden unit: what comes in, the bias, and what goes out."""

from dataclasses import dataclass

import numpy as np

from dwf_steps.storage.layout import Layout
from dwf_steps.symmetry.spec import PermutationSpec


@dataclass(frozen=True)
class UnitTokens:
    """Which weights of a row belong to which unit.

    Attributes
    ----------
    groups
        For each layer of interchangeable units, columns (units, features) of the flat row. The last group is
        a single token with the weights that belong to no unit, such as the output's biases.
    """

    groups: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, layout: Layout, spec: PermutationSpec) -> "UnitTokens":
        """Give every weight to one unit: to the one it goes into, or, where that is no hidden unit, to the
        one it comes from.

        Parameters
        ----------
        layout
            The order of parameters in a row.
        spec
            parameter -> axis -> the layer whose units the axis counts, None for inputs and outputs.
        """
        units: dict[str, list[np.ndarray]] = {}
        rest = []
        for entry in layout.entries:
            columns = np.arange(entry.columns.start, entry.columns.stop).reshape(entry.shape)
            owners = [(axis, layer) for axis, layer in enumerate(spec[entry.name]) if layer is not None]
            if not owners:
                rest.append(columns.reshape(1, -1))
                continue
            axis, layer = owners[0]
            units.setdefault(layer, []).append(np.moveaxis(columns, axis, 0).reshape(entry.shape[axis], -1))
        groups = [np.concatenate(parts, axis=1) for parts in units.values()]
        return cls((*groups, *([np.concatenate(rest, axis=1)] if rest else [])))

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Units and features of every group."""
        return [(len(group), group.shape[1]) for group in self.groups]

    @property
    def size(self) -> int:
        """The number of weights, d."""
        return sum(group.size for group in self.groups)

    def statistics(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of every weight of rows (n, d), shared by all units of a layer,
        each (d,): a unit's place plays no part."""
        shift, scale = np.empty(rows.shape[1]), np.empty(rows.shape[1])
        for group in self.groups:
            values = rows[:, group].reshape(-1, group.shape[1])
            shift[group], spread = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
            scale[group] = np.where(spread > 0, spread, 1.0)
        return shift, scale
