"""Figures of how good and how new networks are."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from dwf_steps.reporting.figures.labels import beside, spread_out
from dwf_steps.reporting.figures.style import (
    COLOURS,
    LEGEND_WIDTH,
    NEW_COLOUR,
    WIDE_PANEL,
    ZOO_COLOUR,
    arms_of,
    curve_style,
    label_panels,
    mark_of,
    names_of,
    panel_of,
    panels,
    save,
    title_of,
)
from dwf_steps.reporting.frontier import curve_points
from dwf_steps.reporting.results import COMPARED, Collection, grouped

MOST_LABELS = 10  # names of curves that fit beside them; more go into a legend
IOU = (-0.03, 1.03)


def accuracy_at_novelty(collection: Collection, path: Path) -> None:
    """Draw every generator's mean accuracy against mean distance to the nearest training network.

    A generator is a curve over its settings, solid for learned generators and dashed for controls. A region
    shows where held-out networks lie, which are new and good. Distances are after realigning, if that was
    measured, relative to the mean of held-out networks, or to the zoo's leave-one-out mean if none are held
    out.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    """
    points = curve_points(collection)
    points = points[points.kind != "held_out"]  # the region is theirs
    measure = "realigned_distance" if points.realigned_distance.notna().all() else "nn_distance"
    points = points.assign(arm=arms_of(points, ["representation", "subspace"]))
    arms = names_of(points.arm)
    rows, columns = names_of(points.recalibration), names_of(points.zoo + ", " + points.canonicalization)
    direct = len(arms) <= MOST_LABELS
    with panels(rows, columns, panel=WIDE_PANEL, legend=0 if direct else LEGEND_WIDTH) as (figure, axes):
        labels: list[tuple[Axes, pd.Series, str, str]] = []
        for keys, group in grouped(points, COMPARED):
            ax = axes[panel_of(keys)]
            unit = _new_region(ax, collection.zoo(keys), measure)
            for names, curve in grouped(group, ["arm"]):
                ordered = curve.assign(novelty=curve[measure] / unit).sort_values("novelty")
                name, control = names["arm"], curve.control.iloc[0]
                mark = mark_of(arms.index(name))
                ax.plot(
                    ordered.novelty,
                    ordered.accuracy,
                    label=None if direct else name,
                    **curve_style(control),
                    **mark,
                )
                labels.append((ax, ordered.iloc[len(ordered) // 2], name, mark["color"]))
            ax.set(xlim=(-0.03, max(1.1, 1.05 * group[measure].max() / unit)), ylim=(0, 1.03))
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_formatter(PercentFormatter(1))
        label_panels(
            axes, "distance to the nearest training network,\nrelative to held-out networks", "test accuracy"
        )
        if direct:
            texts = [beside(ax, point.novelty, point.accuracy, *rest) for ax, point, *rest in labels]
            figure.draw_without_rendering()  # until then the panels have no final places
            for ax in axes.values():
                spread_out(ax, [text for text in texts if text.axes is ax])
        save(figure, path)


def accuracy_against_iou(collection: Collection, path: Path) -> None:
    """Draw the accuracy of every generated network against its max IoU.

    A region shows the zoo's networks: the 5th to the 95th percentile of their leave-one-out values.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    """
    networks = collection.networks[~collection.networks.failed].merge(collection.generators, on="generator")
    networks = networks.assign(arm=arms_of(networks))
    arms = names_of(networks.arm)
    rows_of, columns = (
        names_of(networks.recalibration),
        names_of(networks.zoo + ", " + networks.canonicalization),
    )
    with panels(rows_of, columns) as (figure, axes):
        for keys, rows in grouped(collection.zoos, COMPARED):
            _zoo_region(axes[panel_of(keys)], rows[~rows.held_out], rows[rows.held_out])
        for keys, rows in grouped(networks, [*COMPARED, "arm"]):
            mark = mark_of(arms.index(keys["arm"]))
            axes[panel_of(keys)].scatter(
                rows.max_iou, rows.accuracy, s=8, alpha=0.4, linewidths=0, label=keys["arm"], **mark
            )
        label_panels(axes, "max IoU with training networks", "test accuracy", xlim=IOU)
        save(figure, path)


def nearest_accuracy(collection: Collection, path: Path) -> None:
    """Draw, in a panel for each generator, the accuracy of its networks against that of the training network
    nearest to each, beside held-out networks, and the diagonal."""
    networks = collection.networks[~collection.networks.failed].merge(collection.generators, on="generator")
    networks = networks.assign(arm=arms_of(networks))
    zoos = {tuple(keys.values()): ", ".join(panel_of(keys)[::-1]) for keys, _ in grouped(networks, COMPARED)}
    with panels(list(zoos.values()), names_of(networks.arm), share=False) as (figure, axes):
        for keys, rows in grouped(networks, [*COMPARED, "arm"]):
            arm = keys.pop("arm")
            ax, zoo = axes[zoos[tuple(keys.values())], arm], collection.zoo(keys)
            ax.scatter(
                rows.nearest_accuracy,
                rows.accuracy,
                s=10,
                alpha=0.5,
                linewidths=0,
                color=COLOURS[0],
                label="generated",
            )
            held_out = zoo[zoo.held_out]
            if len(held_out):
                accuracies = held_out.nearest_accuracy, held_out.accuracy
                ax.scatter(*accuracies, s=22, marker="+", color="black", label="held out")
            middle = rows.nearest_accuracy.mean()
            ax.axline(
                (middle, middle),
                slope=1,
                color=ZOO_COLOUR,
                linewidth=0.8,
                linestyle=":",
                label="equal accuracy",
            )
            recalibration, column = panel_of(keys)
            title = f"{arm}\n{title_of(recalibration, column)}"
            ax.set(title=title, xlabel="nearest training network's accuracy", ylabel="test accuracy")
        save(figure, path)


def _new_region(ax: Axes, networks: pd.DataFrame, measure: str) -> float:
    """Shade where new networks lie, and return their mean distance, by which other distances are divided.

    The light region is the 5th to the 95th percentile of their distances, the dark one also that of their
    accuracy.
    """
    held_out = networks[networks.held_out]
    shown, name = (held_out, "held-out networks") if len(held_out) else (networks, "the zoo, leave-one-out")
    unit = float(shown[measure].mean())
    low, high = (shown[[measure, "accuracy"]].quantile(q) for q in (0.05, 0.95))
    left, right = low[measure] / unit, high[measure] / unit
    ax.axvspan(left, right, color=NEW_COLOUR, alpha=0.12, linewidth=0, zorder=0)
    ax.add_patch(
        Rectangle(
            (left, low.accuracy),
            right - left,
            high.accuracy - low.accuracy,
            facecolor=(*to_rgb(NEW_COLOUR), 0.5),
            edgecolor=NEW_COLOUR,
            zorder=1,
        )
    )
    middle = (low.accuracy + high.accuracy) / 2
    ax.text(left - 0.02, middle, name, color=NEW_COLOUR, ha="right", va="center", zorder=6)
    ax.axvline(0, color=ZOO_COLOUR, linewidth=0.8, linestyle=":", zorder=0)
    ax.text(0.01, 0.02, "copies", color=ZOO_COLOUR, ha="left", va="bottom", zorder=6)
    return unit


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
