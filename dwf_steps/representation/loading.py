"""Traces, probes and response bases from files, on a device; a group of networks at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from dwf_steps.storage.arrays import load_arrays, save_arrays
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks

GROUP_BYTES = 2**28  # of networks that are read at a time
LAYOUT = "layout"


@dataclass(frozen=True)
class Probed:
    """An architecture's layers, and what the zoo's networks are asked.

    Attributes
    ----------
    capture
        Runs networks on the probes.
    softmax
        Whether outputs are logits of classes.
    """

    trace: Trace
    capture: Capture
    softmax: bool

    @classmethod
    def load(cls, config: ArchitectureConfig, probing: Probing, data: Path, device: torch.device) -> Probed:
        """Trace an architecture, and choose probes among the training examples of a zoo's data.

        Raises
        ------
        InputError
            If the architecture cannot be traced, or there are fewer training examples than probes.
        """
        architecture = build(config)
        probes = choose_probes(Split.load(data, "train"), probing.probes, probing.seed)
        inputs = torch.from_numpy(probes.inputs).to(device)
        capture = Capture(architecture, inputs, probing.positions, probing.seed)
        return cls(trace(architecture), capture, probes.task == "classification")

    @property
    def device(self) -> torch.device:
        """Where networks are run."""
        return self.capture.probes.device


def save_sketches(path: Path, sketches: Sketches) -> None:
    """Write every layer's products as npz, atomically."""
    save_arrays(path, {name: sketch.products.cpu().numpy() for name, sketch in sketches.sketches.items()})


def add_sketches(path: Path, sketches: Sketches) -> None:
    """Add what `save_sketches` wrote to sketches of the same probes.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    arrays = load_arrays(path, list(sketches.sketches))
    for name, sketch in sketches.sketches.items():
        sketch.products += torch.from_numpy(arrays[name]).to(sketch.products.device)


def save_basis(path: Path, basis: ResponseBasis) -> None:
    """Write every layer's functions and the coordinates' layout as npz, atomically."""
    functions = {name: values.cpu().numpy() for name, values in basis.functions.items()}
    save_arrays(path, functions | {LAYOUT: np.array(json.dumps(basis.layout.to_json()))})


def load_basis(path: Path, probed: Probed) -> ResponseBasis:
    """Read what `save_basis` wrote.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    arrays = load_arrays(path, [layer.name for layer in probed.trace.layers])
    functions = {name: torch.from_numpy(values).to(probed.device) for name, values in arrays.items()}
    return ResponseBasis(probed.trace, shapes_of(probed.capture.architecture), functions)


def shapes_of(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an architecture's parameters, by name."""
    return {entry.name: entry.shape for entry in architecture.layout.entries}


def read_in_groups(
    matrix: WeightMatrix, rows: Sequence[int], device: torch.device, coordinates: int = 0
) -> Iterator[tuple[Sequence[int], StackedNetworks[torch.Tensor]]]:
    """Yield the networks of some rows on a device, a group that fits in memory at a time, each with its rows.

    Parameters
    ----------
    coordinates
        So many of every network, in float64, are to fit as well.
    """
    size = max(1, GROUP_BYTES // (4 * matrix.layout.size + 16 * coordinates))
    for start in range(0, len(rows), size):
        group = rows[start : start + size]
        yield group, matrix.networks(group).tensors(device)


def part_of(rows: int, part: int, parts: int) -> range:
    """Return the ``part``-th of ``parts`` ranges of so many rows."""
    return range(rows * part // parts, rows * (part + 1) // parts)
