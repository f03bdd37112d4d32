"""Figures of how good and how new networks are."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from dwf_steps.reporting.figures.labels import beside, spread_out
from dwf_steps.reporting.figures.style import (
    COLOURS,
    IOU,
    LEGEND_WIDTH,
    NEW_COLOUR,
    REGION,
    WIDE_PANEL,
    ZOO_COLOUR,
    arms_of,
    best_first,
    curve_style,
    in_percents,
    label_panels,
    listed,
    mark_of,
    names_of,
    panel_of,
    panels,
    save,
    state,
)
from dwf_steps.reporting.frontier import curve_points
from dwf_steps.reporting.overview import NEW, common_distance, in_percent, new_networks
from dwf_steps.reporting.results import COMPARED, ZOO_KEYS, Collection, grouped, several

MOST_LABELS = 10  # names of curves that fit beside them; more go into a legend


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
    measure = common_distance(points.realigned_distance)
    points = points.assign(arm=arms_of(points, ["representation", "subspace"]), novelty=np.nan)
    arms = names_of(points.arm)
    rows, columns = names_of(points.recalibration), names_of(points.zoo + ", " + points.canonicalization)
    direct = len(arms) <= MOST_LABELS
    with panels(rows, columns, panel=WIDE_PANEL, legend=0 if direct else LEGEND_WIDTH) as (figure, axes):
        labels: list[tuple[Axes, pd.Series, str, str]] = []
        for keys, group in grouped(points, COMPARED):
            ax = axes[panel_of(keys)]
            unit = _new_region(ax, collection.zoo(keys), measure, direct)
            points.loc[group.index, "novelty"] = group[measure] / unit
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
        furthest = max(1.1, 1.05 * points.novelty.max())
        for ax in axes.values():
            ax.set(xlim=(-0.03, furthest), ylim=(0, 1.03))
        in_percents(axes.values(), "both")
        label_panels(
            axes, "distance to the nearest training network,\nrelative to held-out networks", "test accuracy"
        )
        state(figure, _best_new(points))
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
    networks = networks[networks.kind != "held_out"]  # drawn from the zoo
    networks = networks.assign(arm=arms_of(networks))
    arms = names_of(networks.arm)
    rows_of, columns = (
        names_of(networks.recalibration),
        names_of(networks.zoo + ", " + networks.canonicalization),
    )
    with panels(rows_of, columns) as (figure, axes):
        for keys, rows in grouped(collection.zoos, COMPARED):
            _zoo_region(axes[panel_of(keys)], rows[~rows.held_out], rows[rows.held_out])
        for keys, rows in best_first(networks, [*COMPARED, "arm"]):
            mark = mark_of(arms.index(keys["arm"]))
            ax = axes[panel_of(keys)]
            ax.scatter(rows.max_iou, rows.accuracy, s=8, alpha=0.25, linewidths=0, **mark)
            mean = rows.max_iou.mean(), rows.accuracy.mean()
            ax.scatter(*mean, s=45, edgecolor="black", linewidths=0.8, label=keys["arm"], zorder=6, **mark)
        label_panels(axes, "max IoU with training networks", "test accuracy", xlim=IOU, ylim=(0, 1.03))
        in_percents(axes.values(), "both")
        state(figure, _repeaters(networks, collection))
        save(figure, path)


def nearest_accuracy(collection: Collection, path: Path) -> None:
    """Draw accuracies of generated networks against those of the training networks nearest to them.

    Every generator has a panel, with held-out networks and the diagonal; the panels of a zoo have equal
    ranges. The area of a mark grows with the number of networks that it stands for. Networks far less
    accurate than the zoo's are counted at the lower edge; generators with no other networks are named above
    the panels.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    """
    networks = collection.networks[~collection.networks.failed].merge(collection.generators, on="generator")
    networks = networks[networks.kind != "held_out"]  # drawn beside the others
    networks = networks.assign(arm=arms_of(networks))
    told_apart = [level for level in ZOO_KEYS if several(networks[level])]
    panels_of, absent = {}, []
    for keys, rows in grouped(networks, [*COMPARED, "arm"]):
        zoo, places = collection.zoo(keys), [keys[level] for level in told_apart]
        recalibrated = [] if keys["recalibration"] == "none" else [f"recalibration {keys['recalibration']}"]
        name = "\n".join([keys["arm"], *filter(None, [", ".join([*places, *recalibrated])])])
        if (rows.accuracy >= _ranges(zoo)[1][0]).any():
            panels_of[name] = rows, zoo
        else:
            absent.append(name.replace("\n", ", "))
    with panels(["all"], list(panels_of) or [""], share=False) as (figure, axes):
        for name, (rows, zoo) in panels_of.items():
            ax, (x_range, y_range) = axes["all", name], _ranges(zoo)
            _counted(ax, rows, color=COLOURS[0], alpha=0.6, linewidths=0, label="generated")
            if zoo.held_out.any():
                _counted(ax, zoo[zoo.held_out], marker="+", color="black", label="held out")
            look: dict[str, Any] = {"color": ZOO_COLOUR, "linewidth": 0.8, "linestyle": ":"}
            ax.axline((x_range[0], x_range[0]), slope=1, label="equal accuracy", **look)
            if below := int((rows.accuracy < y_range[0]).sum()):
                said = f"{below} of {len(rows)} below"
                ax.text(0.5, 0.03, said, ha="center", transform=ax.transAxes, color=COLOURS[0])
            ax.set(title=name, xlim=x_range, ylim=y_range)
            ax.set(xlabel="nearest training network's accuracy", ylabel="test accuracy")
        in_percents(axes.values(), "both")
        message = "Copies lie on the dotted line: they score what their nearest training network does."
        state(figure, f"{message} Far less accurate: {listed(absent)}." if absent else message)
        save(figure, path)


def _ranges(zoo: pd.DataFrame) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the range of accuracies of training networks, and that of similarly accurate generated ones."""
    low, high = zoo[~zoo.held_out].accuracy.min(), zoo.accuracy.max()
    margin = max(high - low, 0.01)
    least, most = min(low, -0.03), max(high, 1.03)
    x, y = (low - 0.2 * margin, high + 0.2 * margin), (low - 3 * margin, high + 0.5 * margin)
    return (max(least, x[0]), min(most, x[1])), (max(least, y[0]), min(most, y[1]))


def _counted(ax: Axes, networks: pd.DataFrame, **look: Any) -> None:
    """Draw a mark at each position of networks, with an area that grows with their number."""
    places = networks.groupby(["nearest_accuracy", "accuracy"]).size().reset_index(name="n")
    ax.scatter(places.nearest_accuracy, places.accuracy, s=4 + 5 * places.n, **look)


def _best_new(points: pd.DataFrame) -> str:
    """Return a sentence on the best networks that are as new as held-out ones, given their ``novelty``."""
    if points.groupby(ZOO_KEYS).ngroups > 1:
        return "Networks in the green region are as good and as new as those that were trained"
    new = points[(points.novelty >= NEW) & ~points.shows_training]
    if new.empty:
        return "No generator's networks are as new as those that were trained"
    best = new.sort_values("accuracy", ascending=False).iloc[0]
    recalibrated = "" if best.recalibration == "none" else ", recalibrated"
    scores = f"{best.arm}{recalibrated}, {in_percent(best.accuracy)}"
    return f"The best of the networks that are as new as trained ones: {scores}"


def _repeaters(networks: pd.DataFrame, collection: Collection) -> str:
    """Return a sentence on generators that repeat mistakes of training networks more than these do."""
    arms = []
    for keys, rows in grouped(networks, [*COMPARED, "arm"]):
        zoo = collection.zoo(keys)
        if rows.max_iou.mean() > zoo[~zoo.held_out].max_iou.quantile(REGION[1]):
            arms.append(keys["arm"])
    if not arms:
        return "No generator repeats a training network's mistakes more than training networks do"
    return f"More like one training network than training networks are: {listed(names_of(arms))}"


def _new_region(ax: Axes, networks: pd.DataFrame, measure: str, direct: bool) -> float:
    """Shade where new networks lie, and return their mean distance, by which other distances are divided.

    The light region is the 5th to the 95th percentile of their distances, the dark one also that of their
    accuracy. Its name is beside it or, unless ``direct``, in the legend.
    """
    shown = new_networks(networks)
    name = "held-out networks" if shown.held_out.any() else "the zoo, leave-one-out"
    unit = float(shown[measure].mean())
    low, high = (shown[[measure, "accuracy"]].quantile(q) for q in REGION)
    left, right = low[measure] / unit, high[measure] / unit
    ax.axvspan(left, right, color=NEW_COLOUR, alpha=0.12, linewidth=0, zorder=0)
    ax.add_patch(
        Rectangle(
            (left, low.accuracy),
            right - left,
            high.accuracy - low.accuracy,
            facecolor=(*to_rgb(NEW_COLOUR), 0.5),
            edgecolor=NEW_COLOUR,
            label=None if direct else name,
            zorder=1,
        )
    )
    if direct:
        middle = (low.accuracy + high.accuracy) / 2
        ax.text(left - 0.02, middle, name, color=NEW_COLOUR, ha="right", va="center", zorder=6)
    ax.axvline(0, color=ZOO_COLOUR, linewidth=0.8, linestyle=":", zorder=0)
    ax.text(0.01, 0.02, "copies", color=ZOO_COLOUR, ha="left", va="bottom", zorder=6)
    return unit


def _zoo_region(ax: Axes, training: pd.DataFrame, held_out: pd.DataFrame) -> None:
    low, high = (training[["max_iou", "accuracy"]].quantile(q) for q in REGION)
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
