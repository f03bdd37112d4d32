"""The figures, in one consistent, colour-blind-safe style."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.lineage import lineage
from dwf_steps.subspace.basis import Basis

# Okabe & Ito (2008): distinguishable with every common colour deficiency.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
MARKERS = "osD^vP*X"
ZOO_COLOUR = "#555555"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
    "pdf.fonttype": 42,
}
PANEL = (3.1, 2.7)  # inches
LEGEND_WIDTH = 2.2


@contextmanager
def panels(rows: list[str], columns: list[str]) -> Iterator[tuple[Figure, dict[tuple[str, str], Axes]]]:
    """Yield a figure with a panel for every (row, column) name; panels of a column share their y axis.

    A single column is laid out from left to right.
    """
    turned = len(columns) == 1 and len(rows) > 1
    shape = (1, len(rows)) if turned else (len(rows), len(columns))
    with plt.rc_context(STYLE):
        size = (PANEL[0] * shape[1] + LEGEND_WIDTH, PANEL[1] * shape[0])
        figure, grid = plt.subplots(*shape, figsize=size, squeeze=False, sharey="row" if turned else "col")
        names = [(row, column) for row in rows for column in columns]
        axes = dict(zip(names, grid.flat, strict=True))
        yield figure, axes
        plt.close(figure)


def save(figure: Figure, path: Path) -> None:
    """Add one legend for all panels, on the right, and write ``path`` as pdf and as png."""
    handles: dict[str, Artist] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside right upper",
            frameon=False,
            markerscale=1.6,
        )
    for ending in (".pdf", ".png"):
        with replacing(path.with_suffix(ending)) as partial:
            figure.savefig(partial, metadata={"CreationDate": None} if ending == ".pdf" else None)


def accuracy_against_iou(metrics: list[Path], zoo_metrics: list[Path], path: Path) -> None:
    """Draw accuracy against max IoU of every generated network, and the region of the zoo's own
    networks (5th to 95th percentile of its leave-one-out values)."""
    lines = {path: lineage(path, 4) for path in metrics}
    generators = _names(lines.values(), "generator")
    several = len(_names(lines.values(), "subspace")) > 1
    zoos, canons = _names(lines.values(), "zoo"), _names(lines.values(), "canonicalization")
    labels: dict[str, int] = {}
    with panels(canons, zoos) as (figure, axes):
        for zoo_path in zoo_metrics:
            keys = lineage(zoo_path, 2)
            frame = pd.read_csv(zoo_path)
            _zoo_region(
                axes[keys["canonicalization"], keys["zoo"]], frame[~frame.held_out], frame[frame.held_out]
            )
        for metric_path, keys in lines.items():
            frame = pd.read_csv(metric_path)
            good = frame[~frame.failed.astype(bool)]
            label = f"{keys['generator']} ({keys['subspace']})" if several else keys["generator"]
            i = labels.setdefault(label, len(labels))
            axes[keys["canonicalization"], keys["zoo"]].scatter(
                good.max_iou,
                good.accuracy,
                s=12,
                alpha=0.55,
                linewidths=0,
                color=COLOURS[generators.index(keys["generator"]) % len(COLOURS)],
                marker=MARKERS[i % len(MARKERS)],
                label=label,
            )
        for (canon, zoo), ax in axes.items():
            ax.set(title=f"{zoo}, {canon}", xlabel="max IoU with training networks", ylabel="test accuracy")
            ax.set_xlim(-0.03, 1.03)
        save(figure, path)


def _zoo_region(ax: Axes, training: pd.DataFrame, held_out: pd.DataFrame) -> None:
    low, high = (training[["max_iou", "accuracy"]].quantile(q) for q in (0.05, 0.95))
    width, height = high.max_iou - low.max_iou, high.accuracy - low.accuracy
    ax.add_patch(
        Rectangle(
            (low.max_iou, low.accuracy),
            width,
            height,
            facecolor=(*to_rgb(ZOO_COLOUR), 0.15),
            edgecolor=ZOO_COLOUR,
            label="zoo, 5-95 %",
            zorder=5,
        )
    )
    ax.scatter(
        training.max_iou, training.accuracy, s=4, color=ZOO_COLOUR, linewidths=0, label="zoo, leave-one-out"
    )
    if len(held_out):
        ax.scatter(held_out.max_iou, held_out.accuracy, s=22, marker="+", color="black", label="held out")


def loss_curves(losses: list[Path], path: Path) -> None:
    """Draw training and validation loss of every flow."""
    lines = {p: lineage(p, 4) for p in losses}
    zoos, canons = _names(lines.values(), "zoo"), _names(lines.values(), "canonicalization")
    generators = _names(lines.values(), "generator")
    with panels(canons or ["no flow was trained"], zoos or [""]) as (figure, axes):
        for loss_path, keys in lines.items():
            frame = pd.read_csv(loss_path)
            colour = COLOURS[generators.index(keys["generator"]) % len(COLOURS)]
            ax = axes[keys["canonicalization"], keys["zoo"]]
            label = f"{keys['generator']}, {keys['subspace']}"
            ax.plot(frame.step, frame.validation, color=colour, label=f"{label}: validation")
            ax.plot(
                frame.step, frame.train, color=colour, alpha=0.4, linestyle=":", label=f"{label}: training"
            )
        for (canon, zoo), ax in axes.items():
            ax.set(title=f"{zoo}, {canon}", xlabel="step", ylabel="flow-matching loss", yscale="log")
        save(figure, path)


def explained_variance(bases: list[Path], path: Path) -> None:
    """Draw the cumulative share of the total variance over components, for every basis."""
    lines = {p: lineage(p, 3) for p in bases}
    canons = _names(lines.values(), "canonicalization")
    with panels(["all"], _names(lines.values(), "zoo")) as (figure, axes):
        for basis_path, keys in lines.items():
            basis = Basis.load(basis_path)
            if basis.raw:
                continue
            share = np.concatenate([[0], np.cumsum(basis.explained_variance_ratio)])
            axes["all", keys["zoo"]].plot(
                np.arange(len(share)),
                share,
                color=COLOURS[canons.index(keys["canonicalization"]) % len(COLOURS)],
                label=f"{keys['canonicalization']}, {keys['subspace']}",
            )
        for (_, zoo), ax in axes.items():
            ax.set(title=zoo, xlabel="components", ylabel="explained variance", ylim=(0, 1.02))
        save(figure, path)


def _names(lines: Iterable[dict[str, str]], level: str) -> list[str]:
    return list(dict.fromkeys(keys[level] for keys in lines))
