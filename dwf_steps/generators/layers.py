"""Columns of a row by layer and unit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout

if TYPE_CHECKING:
    from dwf_steps.architectures.base import Architecture


def architecture_of(description: Mapping[str, Any]) -> Architecture:
    """Build the architecture that a matrix describes.

    Parameters
    ----------
    description
        The architecture's configuration.

    Returns
    -------
    The architecture.
    """
    # Imported here because the functions below do not all need PyTorch.
    from pydantic import TypeAdapter

    from dwf_steps.architectures import build
    from dwf_steps.config.architecture import ArchitectureConfig

    return build(TypeAdapter(ArchitectureConfig).validate_python(description))


def first_layer(description: Mapping[str, Any]) -> str:
    """Find the layer that is applied to the inputs.

    It is the first module, in the order of the state dict, whose `weight` has at least two axes. A matrix's
    layout is sorted by name and does not show this order.

    Parameters
    ----------
    description
        The architecture's configuration.

    Returns
    -------
    The module's name.

    Raises
    ------
    InputError
        If no module has such weights.
    """
    architecture = architecture_of(description)
    for entry in architecture.layout.entries:
        if entry.name.rpartition(".")[2] == "weight" and len(entry.shape) >= 2:
            return entry.module
    raise InputError(
        f"first layer: {architecture.config.called} has no parameter `weight` of two axes or more; expected "
        "one. Name the layers instead, where the generator lets you"
    )


def first_columns(layout: Layout, description: Mapping[str, Any]) -> np.ndarray:
    """Find the columns of the first layer.

    Parameters
    ----------
    layout
        The columns of each parameter.
    description
        The architecture's configuration.

    Returns
    -------
    The columns, (k,), sorted.
    """
    return np.flatnonzero(in_layers(layout, [first_layer(description)]))


def first_units(layout: Layout, description: Mapping[str, Any]) -> np.ndarray:
    """Find the columns of each of the first layer's units.

    Parameters
    ----------
    layout
        The columns of each parameter.
    description
        The architecture's configuration.

    Returns
    -------
    The columns, (units, features).

    Raises
    ------
    InputError
        If units have different numbers of columns.
    """
    columns = first_columns(layout, description)
    numbers, counts = np.unique(by_unit(layout)[columns], return_inverse=True, return_counts=True)[1:]
    if len(set(counts.tolist())) > 1:
        raise InputError(
            f"first layer: {first_layer(description)} has units of {counts.min()} to {counts.max()} columns; "
            "expected the same number in all, because units are matched"
        )
    return columns[np.argsort(numbers, kind="stable")].reshape(len(counts), -1)


def by_layer(layout: Layout) -> np.ndarray:
    """Assign each column to its layer.

    Parameters
    ----------
    layout
        The columns of each parameter.

    Returns
    -------
    The index of each column's layer, (d,): layers are modules, numbered in row order.
    """
    names = list(dict.fromkeys(entry.module for entry in layout.entries))
    groups = np.empty(layout.size, np.intp)
    for entry in layout.entries:
        groups[entry.columns] = names.index(entry.module)
    return groups


def by_unit(layout: Layout) -> np.ndarray:
    """Assign each column to its unit.

    Unit i of a module is row i, along the first axis, of each of its parameters.

    Parameters
    ----------
    layout
        The columns of each parameter.

    Returns
    -------
    The index of each column's unit, (d,), distinct across layers.
    """
    most: dict[str, int] = {}
    for entry in layout.entries:
        most[entry.module] = max(most.get(entry.module, 1), *entry.shape[:1], 1)
    starts = dict(zip(most, np.cumsum([0, *most.values()]), strict=False))
    groups = np.empty(layout.size, np.intp)
    for entry in layout.entries:
        units = entry.shape[0] if entry.shape else 1
        groups[entry.columns] = starts[entry.module] + np.arange(units).repeat(entry.size // units)
    return groups


def in_layers(layout: Layout, names: Collection[str]) -> np.ndarray:
    """Select the columns of some layers.

    Parameters
    ----------
    layout
        The columns of each parameter.
    names
        The layers' names.

    Returns
    -------
    Which columns belong to these layers, (d,) bool.

    Raises
    ------
    InputError
        If a layer does not exist.
    """
    known = list(dict.fromkeys(entry.module for entry in layout.entries))
    if missing := [name for name in names if name not in known]:
        raise InputError(
            f"layers: found {', '.join(map(repr, missing))}, but the networks' layers are "
            f"{', '.join(known)}; choose from these"
        )
    inside = np.zeros(layout.size, bool)
    for entry in layout.entries:
        inside[entry.columns] = entry.module in names
    return inside
