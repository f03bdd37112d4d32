"""Figures of the weights themselves: the first layers of networks."""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from dwf_steps.config.dataset import Shape
from dwf_steps.reporting.figures.style import STYLE, save, state
from dwf_steps.reporting.results import GENERATOR_DEPTH, METRICS, Collection, Results
from dwf_steps.storage.csv_tables import read_csv
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import load_state
from dwf_steps.storage.stacked import NetworkState

UNITS = 10
MOST_NETWORKS = 14  # rows of one figure
SIDE = 0.62  # inches of a unit
NAMES = 2.4  # inches beside them


def first_layers(collection: Collection, path: Path) -> None:
    """Draw the first units of the layer that reads images.

    There is a row for the first network of each generator, for a held-out network, and for the training
    network nearest to any of the generated ones. White is 0, red positive and blue negative, up to the
    largest weight of a network; for colour images it is the mean over channels.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    """
    shown = (
        (f"{zoo}, {name}", units)
        for results in collection.results
        for zoo, shape in results.record.image_shapes.items()
        for name, network in _networks(results, zoo)
        if (units := units_of(network, shape)) is not None
    )
    rows = list(islice(shown, MOST_NETWORKS))
    several_zoos = len({name.partition(", ")[0] for name, _ in rows}) > 1
    with plt.rc_context(STYLE | {"axes.grid": False}):
        size = (NAMES + SIDE * UNITS, SIDE * max(1, len(rows)))
        figure, axes = plt.subplots(max(1, len(rows)), UNITS, figsize=size, squeeze=False)
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        for line, (name, units) in zip(axes, rows, strict=False):
            largest = np.abs(units).max() or 1.0
            for ax, unit in zip(line, units, strict=False):
                ax.imshow(unit, cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")
            label = name if several_zoos else name.partition(", ")[2]
            line[0].set_ylabel(label, rotation=0, ha="right", va="center")
        state(figure, "A copy's units look like those of the training network in the first row")
        save(figure, path)
        plt.close(figure)


def units_of(network: NetworkState[np.ndarray], shape: Shape) -> np.ndarray | None:
    """Return the first `UNITS` units of the layer that reads the images.

    This is the first layer in the order of the state dict with as many inputs as an image has values or, for
    convolutions, channels.

    Parameters
    ----------
    network
        Its state dict.
    shape
        Channels, height and width of an image.

    Returns
    -------
    (units, height, width), the mean over channels; None if there is no such layer.
    """
    for weight in network.values():
        if weight.ndim == 2 and weight.shape[1] == math.prod(shape):
            return weight[:UNITS].reshape(-1, *shape).mean(axis=1)
        if weight.ndim == 4 and weight.shape[1] == shape[0]:
            return weight[:UNITS].mean(axis=1)
    return None


def _networks(results: Results, zoo: str) -> Iterator[tuple[str, NetworkState[np.ndarray]]]:
    """Yield the networks to show, with their names, for every canonicalization."""
    cells = [cell for cell in results.record.cells if cell.zoo == zoo]
    for canon in dict.fromkeys(cell.canon for cell in cells):
        own = [cell for cell in cells if cell.canon == canon]
        first = pd.concat([read_csv(results.folder(cell) / METRICS)[:1] for cell in own], ignore_index=True)
        matrix = WeightMatrix.open(results.root / zoo / canon / "weights.zarr")
        measured = first.dropna(subset=["nn_distance"]).sort_values("nn_distance")
        nearest = measured.nearest.iloc[0] if len(measured) else ""
        row = next((i for i, row in enumerate(matrix.rows) if row.name == nearest), 0)
        chosen = {"training": row}
        if matrix.n_training < len(matrix.rows):
            chosen["held-out"] = matrix.n_training
        networks = matrix.networks(list(chosen.values()))
        for place, kind in enumerate(chosen):
            yield f"{kind} network ({canon})", networks.network(place)
        for cell in {cell[:GENERATOR_DEPTH]: cell for cell in own}.values():
            if "held-out" in chosen and results.record.generators[cell.generator].kind == "held_out":
                continue  # shown already
            folder = results.folder(cell, GENERATOR_DEPTH) / "networks"
            shard = Manifest.read(folder / "shard-0.json")
            if shard.networks:
                state = load_state(shard.verified_file(shard.networks[0]))
                yield f"{cell.generator} ({cell.representation})", state
