"""Positions of a network's parameters in its row of the weight matrix."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dwf_steps.storage.stacked import StackedNetworks


def layer_of(parameter: str) -> str:
    """Return the layer that a parameter belongs to, which is the module that holds it.

    Parameters
    ----------
    parameter
        Its name in the state dict, such as ``layers.0.weight``.

    Returns
    -------
    The name up to the last dot, ``layers.0``; the whole name if the network holds the parameter directly.
    """
    return parameter.rpartition(".")[0] or parameter


@dataclass(frozen=True)
class Entry:
    """One parameter: its ``shape``, and the ``offset`` of its first weight within the row."""

    name: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def columns(self) -> slice:
        return slice(self.offset, self.offset + self.size)

    @property
    def module(self) -> str:
        """The module of the network that holds the parameter, as `layer_of` returns it."""
        return layer_of(self.name)


@dataclass(frozen=True)
class Layout:
    """The parameters of a network in row order."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, shapes: Mapping[str, Sequence[int]]) -> "Layout":
        """Lay out parameters one after another, in the given order."""
        entries, offset = [], 0
        for name, shape in shapes.items():
            entries.append(Entry(name, tuple(shape), offset))
            offset += entries[-1].size
        return cls(tuple(entries))

    @property
    def size(self) -> int:
        """The number of weights, d."""
        return sum(entry.size for entry in self.entries)

    def unflatten(self, rows: np.ndarray) -> StackedNetworks[np.ndarray]:
        """Split ``rows`` (n, d) into parameters (n, *shape), as views where possible."""
        n = rows.shape[0]
        return StackedNetworks({e.name: rows[:, e.columns].reshape(n, *e.shape) for e in self.entries})

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.entries]

    @classmethod
    def from_json(cls, entries: Sequence[Mapping[str, Any]]) -> "Layout":
        return cls(tuple(Entry(e["name"], tuple(e["shape"]), e["offset"]) for e in entries))
