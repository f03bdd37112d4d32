"""Traces, probes, sketches and response bases in files, and networks read in groups."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.representation import Probing
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.layers import Trace
from dwf_steps.representation.responses import ResponseBasis, Sketches
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_arrays, save_arrays
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks

GROUP_BYTES = 2**28  # of networks that are read at the same time
LAYOUT = "layout"


@dataclass(frozen=True)
class Probed:
    """An architecture's layers, and the probes that networks run on.

    Attributes
    ----------
    trace
        The layers.
    capture
        Runs networks on the probes.
    softmax
        Whether outputs are logits of classes.
    data_sets
        For a joint zoo: the zoo whose data each probe is from, (m,) str. Else None.
    """

    trace: Trace
    capture: Capture
    softmax: bool
    data_sets: np.ndarray | None = None

    @classmethod
    def load(cls, config: ArchitectureConfig, probing: Probing, data: Path, device: torch.device) -> Probed:
        """Trace an architecture, and choose probes from the training examples of a zoo's data.

        Parameters
        ----------
        config
            The architecture.
        probing
            The number of probes and positions, and the seed.
        data
            The zoo's ``data.npz``.
        device
            Where to run networks.

        Raises
        ------
        InputError
            If the architecture cannot be traced, or there are fewer training examples than probes.
        """
        architecture = build(config)
        probes = choose_probes(Split.load(data, "train"), probing.probes, probing.seed)
        inputs = torch.from_numpy(probes.inputs).to(device)
        capture = Capture(architecture, inputs, probing.positions, probing.seed)
        return cls(trace(architecture), capture, probes.task == "classification", probes.data_sets)

    def from_data_of(self, zoo: str) -> torch.Tensor:
        """Return which probes are from the data of a joint zoo's member, (m,) bool.

        Raises
        ------
        InputError
            If none is.
        """
        known = np.zeros(0, str) if self.data_sets is None else self.data_sets
        if not (known == zoo).any():
            raise InputError(
                f"found no probes from the data of zoo {zoo!r} among those of "
                f"{', '.join(np.unique(known)) or 'a single data set'}; raise probes"
            )
        return torch.from_numpy(known == zoo).to(self.device)

    def only(self, chosen: torch.Tensor) -> Probed:
        """Return the same with some of the probes, given which, (m,) bool."""
        data_sets = None if self.data_sets is None else self.data_sets[chosen.cpu().numpy()]
        return replace(self, capture=self.capture.only(chosen), data_sets=data_sets)

    @property
    def device(self) -> torch.device:
        """The device that networks run on."""
        return self.capture.probes.device


def save_sketches(path: Path, sketches: Sketches) -> None:
    """Write the sketches of all layers to an npz file, atomically.

    Parameters
    ----------
    path
        The npz file.
    sketches
        The sketches.
    """
    save_arrays(path, {name: sketch.products.cpu().numpy() for name, sketch in sketches.sketches.items()})


def add_sketches(path: Path, sketches: Sketches) -> None:
    """Read sketches from a file and add them to others of the same probes.

    Parameters
    ----------
    path
        A file that `save_sketches` wrote.
    sketches
        The sketches to add to, in place.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    arrays = load_arrays(path, list(sketches.sketches))
    for name, sketch in sketches.sketches.items():
        sketch.products += torch.from_numpy(arrays[name]).to(sketch.products.device)


def save_basis(path: Path, basis: ResponseBasis) -> None:
    """Write a response basis and the layout of its coordinates to an npz file, atomically.

    Parameters
    ----------
    path
        The npz file.
    basis
        The basis.
    """
    functions = {name: values.cpu().numpy() for name, values in basis.functions.items()}
    save_arrays(path, functions | {LAYOUT: np.array(json.dumps(basis.layout.to_json()))})


def load_basis(path: Path, probed: Probed) -> ResponseBasis:
    """Read a response basis.

    Parameters
    ----------
    path
        A file that `save_basis` wrote.
    probed
        The architecture and the probes of the basis.

    Returns
    -------
    The basis, on the device of ``probed``.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    arrays = load_arrays(path, [layer.name for layer in probed.trace.layers])
    functions = {name: torch.from_numpy(values).to(probed.device) for name, values in arrays.items()}
    return ResponseBasis(probed.trace, shapes_of(probed.capture.architecture), functions)


def shapes_of(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an architecture's parameters.

    Parameters
    ----------
    architecture
        The architecture.

    Returns
    -------
    Shapes by name, in row order.
    """
    return {entry.name: entry.shape for entry in architecture.layout.entries}


def read_in_groups(
    matrix: WeightMatrix, rows: Sequence[int], device: torch.device, coordinates: int = 0
) -> Iterator[tuple[Sequence[int], StackedNetworks[torch.Tensor]]]:
    """Read networks from a weight matrix in groups that fit into memory.

    Parameters
    ----------
    matrix
        Weights of the zoo.
    rows
        The rows to read.
    device
        Where to put the networks.
    coordinates
        The number of coordinates per network, in float64, that have to fit into memory as well.

    Yields
    ------
    The rows of a group, and its networks.
    """
    size = max(1, GROUP_BYTES // (4 * matrix.layout.size + 16 * coordinates))
    for start in range(0, len(rows), size):
        group = rows[start : start + size]
        yield group, matrix.networks(group).tensors(device)


def part_of(rows: int, part: int, parts: int) -> range:
    """Divide rows into ranges, and return one of them.

    Parameters
    ----------
    rows
        The number of rows.
    part, parts
        The index of the range, from 0, and the number of ranges.

    Returns
    -------
    The range.
    """
    return range(rows * part // parts, rows * (part + 1) // parts)
