"""The figures, in one consistent, colour-blind-safe style."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any, Literal

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
from matplotlib.text import Annotation
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    NullLocator,
    PercentFormatter,
)
from pandas.api.types import is_numeric_dtype

from dwf_steps.reporting.costs import seconds_points
from dwf_steps.reporting.frontier import curve_points
from dwf_steps.reporting.record import GENERATOR_KEYS, KEYS, family_of
from dwf_steps.reporting.results import COMPARED, Collection, grouped, several
from dwf_steps.storage.atomic import replacing

logging.getLogger("fontTools").setLevel(logging.WARNING)  # else every glyph is a line of the log

# Okabe & Ito (2008): distinguishable with every common colour deficiency.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
MARKERS = "osD^vP*X"
ZOO_COLOUR = "#555555"
NEW_COLOUR = "#4d7f17"
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
WIDE_PANEL = (5.4, 3.8)
ACROSS = 4  # panels in a line
MOST_LABELS = 10  # names of curves that fit beside them; more go into a legend
LABEL_HEIGHT = 11  # points
MOST_TICKS = 8  # values of a study that are all written at its axis
LEVEL = 0.1  # of accuracy: points that differ less lie at one height
ODDS_TICKS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
LEGEND_WIDTH = 2.2
LEGEND_LINE = 0.19
TITLE_CHARACTERS = 28  # on a line above a panel
IOU = (-0.03, 1.03)
SWEPT = {
    "test accuracy": "accuracy",
    "distance to the zoo,\nrelative to held-out networks": "distance",
    "max IoU": "max_iou",
}
"""What figures of studies show, by the label of the axis."""
SOLVER = {f"sampling.{name}" for name in ("solver", "steps", "rtol", "atol")}


@contextmanager
def panels(
    rows: list[str],
    columns: list[str],
    share: bool = True,
    panel: tuple[float, float] = PANEL,
    legend: float = LEGEND_WIDTH,
) -> Iterator[tuple[Figure, dict[tuple[str, str], Axes]]]:
    """Yield a figure with a panel for every (row, column) name, of ``panel`` inches, beside room for a
    legend; panels of a column share their y axis unless told otherwise.

    A single row or column is laid out from left to right, `ACROSS` panels at a time.
    """
    count, line = len(rows) * len(columns), 1 in (len(rows), len(columns))
    shape = (-(-count // ACROSS), min(count, ACROSS)) if line else (len(rows), len(columns))
    sharey: Literal["none", "all", "col"] = "none"
    if share:
        sharey = "all" if len(columns) == 1 else "none" if line else "col"
    with plt.rc_context(STYLE):
        size = (panel[0] * shape[1] + legend, panel[1] * shape[0])
        figure, grid = plt.subplots(*shape, figsize=size, squeeze=False, sharey=sharey)
        for ax in grid.flat[count:]:
            ax.remove()
        names = [(row, column) for row in rows for column in columns]
        axes = dict(zip(names, grid.flat[:count], strict=True))
        yield figure, axes
        plt.close(figure)


def save(figure: Figure, path: Path) -> None:
    """Hide panels with nothing to show beside others, add one legend for all, on the right, and write
    ``path`` as pdf and as png."""
    shown = [ax for ax in figure.axes if ax.has_data()]
    for ax in figure.axes:
        ax.set_visible(ax in shown or not shown)
    handles: dict[str, Artist] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        # Tall enough for the legend.
        figure.set_figheight(max(figure.get_figheight(), LEGEND_LINE * (len(handles) + 2)))
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


def accuracy_against_iou(collection: Collection, path: Path) -> None:
    """Draw accuracy against max IoU of every generated network, and the region of the zoo's own
    networks (5th to 95th percentile of its leave-one-out values)."""
    networks = collection.networks[~collection.networks.failed].merge(collection.generators, on="generator")
    networks = networks.assign(arm=_arms(networks))
    arms = _names(networks.arm)
    rows_of, columns = _names(networks.recalibration), _names(networks.zoo + ", " + networks.canonicalization)
    with panels(rows_of, columns) as (figure, axes):
        for keys, rows in grouped(collection.zoos, COMPARED):
            _zoo_region(axes[_panel(keys)], rows[~rows.held_out], rows[rows.held_out])
        for keys, rows in grouped(networks, [*COMPARED, "arm"]):
            mark = _mark(arms.index(keys["arm"]))
            axes[_panel(keys)].scatter(
                rows.max_iou, rows.accuracy, s=8, alpha=0.4, linewidths=0, label=keys["arm"], **mark
            )
        _label(axes, "max IoU with training networks", "test accuracy", xlim=IOU)
        save(figure, path)


def nearest_accuracy(collection: Collection, path: Path) -> None:
    """Draw, in a panel for each generator, the accuracy of its networks against that of the training network
    nearest to each, beside held-out networks, and the diagonal."""
    networks = collection.networks[~collection.networks.failed].merge(collection.generators, on="generator")
    networks = networks.assign(arm=_arms(networks))
    zoos = {tuple(keys.values()): ", ".join(_panel(keys)[::-1]) for keys, _ in grouped(networks, COMPARED)}
    with panels(list(zoos.values()), _names(networks.arm), share=False) as (figure, axes):
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
            recalibration, column = _panel(keys)
            title = f"{arm}\n{_title(recalibration, column)}"
            ax.set(title=title, xlabel="nearest training network's accuracy", ylabel="test accuracy")
        save(figure, path)


def accuracy_at_novelty(collection: Collection, path: Path) -> None:
    """Draw every generator's curve of mean accuracy against mean distance to the nearest training network
    over its settings, flows with solid lines and controls with dashed ones, and the region of held-out
    networks, where networks are new and good.

    Distances are those after realigning, where they were measured, relative to the held-out networks' mean;
    to the zoo's leave-one-out mean where none are held out.
    """
    points = curve_points(collection)
    points = points[points.kind != "held_out"]  # the region is theirs
    measure = "realigned_distance" if points.realigned_distance.notna().all() else "nn_distance"
    points = points.assign(arm=_arms(points, ["representation", "subspace"]))
    arms = _names(points.arm)
    rows, columns = _names(points.recalibration), _names(points.zoo + ", " + points.canonicalization)
    direct = len(arms) <= MOST_LABELS
    with panels(rows, columns, panel=WIDE_PANEL, legend=0 if direct else LEGEND_WIDTH) as (figure, axes):
        labels: list[tuple[Axes, pd.Series, str, str]] = []
        for keys, group in grouped(points, COMPARED):
            ax = axes[_panel(keys)]
            unit = _new_region(ax, collection.zoo(keys), measure)
            for names, curve in grouped(group, ["arm"]):
                ordered = curve.assign(novelty=curve[measure] / unit).sort_values("novelty")
                name, control = names["arm"], curve.control.iloc[0]
                mark = _mark(arms.index(name))
                ax.plot(
                    ordered.novelty,
                    ordered.accuracy,
                    label=None if direct else name,
                    **_curve(control),
                    **mark,
                )
                labels.append((ax, ordered.iloc[len(ordered) // 2], name, mark["color"]))
            ax.set(xlim=(-0.03, max(1.1, 1.05 * group[measure].max() / unit)), ylim=(0, 1.03))
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_formatter(PercentFormatter(1))
        _label(
            axes, "distance to the nearest training network,\nrelative to held-out networks", "test accuracy"
        )
        if direct:
            texts = [_beside(ax, point.novelty, point.accuracy, *rest) for ax, point, *rest in labels]
            figure.draw_without_rendering()  # until then the panels have no final places
            for ax in axes.values():
                _spread_out(ax, [text for text in texts if text.axes is ax])
        save(figure, path)


def _new_region(ax: Axes, networks: pd.DataFrame, measure: str) -> float:
    """Shade where new networks lie, over their distances, and darker over their accuracy too: the 5th to the
    95th percentile. Return their mean distance, which the others are divided by."""
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


def _beside(ax: Axes, x: float, y: float, text: str, colour: str) -> Annotation:
    """Write a point's name on its inner side, with a line to it."""
    inner = -1 if x > 0.6 else 1
    return ax.annotate(
        text,
        (x, y),
        (14 * inner, 0),
        textcoords="offset points",
        color=colour,
        ha="right" if inner < 0 else "left",
        va="center",
        arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2},
        zorder=7,
    )


def _spread_out(ax: Axes, texts: list[Annotation]) -> None:
    """Move names of one side apart, downward from the highest, until none covers another; of points at one
    height the innermost is named first."""
    points_of = ax.figure.dpi / 72
    for side, inner in (("left", -1), ("right", 1)):
        beside = sorted(
            (text for text in texts if text.get_horizontalalignment() == side), key=lambda text: -text.xy[1]
        )
        heights = np.array([text.xy[1] for text in beside])
        level = np.cumsum(np.append(0, -np.diff(heights) > LEVEL)) if len(beside) else heights
        order = sorted(range(len(beside)), key=lambda i: (level[i], inner * beside[i].xy[0]))
        ceiling = np.inf
        for text in (beside[i] for i in order):
            height = ax.transData.transform(text.xy)[1] / points_of
            placed = min(height, ceiling)
            text.set_position((text.get_position()[0], placed - height))
            ceiling = placed - LABEL_HEIGHT


def _panel(keys: dict[str, str]) -> tuple[str, str]:
    return keys["recalibration"], f"{keys['zoo']}, {keys['canonicalization']}"


def _label(axes: dict[tuple[str, str], Axes], x: str, y: str, **more: Any) -> None:
    for (row, column), ax in axes.items():
        ax.set(title=_title(row, column), xlabel=x, ylabel=y, **more)


def _title(row: str, column: str) -> str:
    return fill(column if row == "none" else f"{column}, recalibration {row}", TITLE_CHARACTERS)


def sweep(_results: Collection, path: Path, table: pd.DataFrame, family: str, level: str) -> None:
    """Draw accuracy, distance to the nearest training network and max IoU along a sweep, over the first
    setting that is a number, a line for every combination of all others, beside the zoo's and the held-out
    networks' own; bands are one standard deviation across networks, bars one across repetitions. Solvers are
    compared by evaluations of the velocity field.

    Distances are those after realigning, where they were measured, relative to the held-out networks' mean;
    to the zoo's leave-one-out mean where none are held out.
    """
    columns = list(table.columns)
    settings = columns[columns.index("swept") + 1 : columns.index("accuracy_mean")]
    key = next((name for name in settings if is_numeric_dtype(table[name])), settings[0])
    others = [name for name in settings if name != key]
    if SOLVER.issuperset(settings):
        key, others = "evaluations", [name for name in settings if not is_numeric_dtype(table[name])]
    numbers = is_numeric_dtype(table[key])
    table = relative_distances(table).sort_values(key, kind="stable")
    table = table.assign(x=table[key] if numbers else table[key].astype(str))
    lines = [name for name in [*KEYS, *others] if name != level and several(table[name])]
    table = table.assign(line=_line_names(table, lines))
    compared = [name for name in COMPARED if name != level]
    table = table.assign(zoo_line=_line_names(table, [name for name in compared if several(table[name])]))
    with panels([family], list(SWEPT), share=False) as (figure, axes):
        for (_, title), ax in axes.items():
            measure = SWEPT[title]
            for i, (keys, rows) in enumerate(grouped(table, ["line"])):
                mean, spread = rows[f"{measure}_mean"], rows[f"{measure}_std"].fillna(0)
                ax.fill_between(
                    rows.x, mean - spread, mean + spread, color=_mark(i)["color"], alpha=0.12, linewidth=0
                )
                ax.plot(rows.x, mean, markersize=4, label=keys["line"] or family, **_mark(i))
                if measure == "accuracy":
                    error = rows.accuracy_repeats_std.fillna(0)
                    ax.errorbar(rows.x, mean, error, fmt="none", color=_mark(i)["color"], capsize=2)
            for keys, rows in grouped(table.drop_duplicates(["zoo_line", "x"]), ["zoo_line"]):
                of = f" ({keys['zoo_line']})" if keys["zoo_line"] else ""
                _level_line(ax, rows.x, rows[f"zoo_{measure}_mean"], f"zoo{of}", ZOO_COLOUR, ":")
                held_out = rows[f"held_out_{measure}_mean"]
                _level_line(ax, rows.x, held_out, f"held-out networks{of}", NEW_COLOUR, "--")
            ax.set(xlabel=key.rpartition(".")[2], ylabel=title)
            if measure != "max_iou":
                ax.yaxis.set_major_formatter(PercentFormatter(1))
            if numbers and _spans_decades(table[key]):
                ax.set_xscale("log")
                if table[key].nunique() <= MOST_TICKS:
                    ax.set_xticks(sorted(table[key].unique()))
                    ax.xaxis.set_major_formatter(FuncFormatter(_as_written))
                    ax.xaxis.set_minor_locator(NullLocator())
        save(figure, path)


def _line_names(table: pd.DataFrame, levels: list[str]) -> list[str]:
    """Return each row's values of some columns; of recalibrations, those that do something."""
    shown = table[levels].astype(str)
    if "recalibration" in levels:
        named = ("recalibration " + shown.recalibration).mask(shown.recalibration == "none", "")
        shown = shown.assign(recalibration=named)
    return [", ".join(filter(None, row)) for row in shown.itertuples(index=False)]


def relative_distances(table: pd.DataFrame) -> pd.DataFrame:
    """Return a study's table with the distances to the nearest training network relative to those of held-out
    networks: ``distance`` and its columns of the zoo and of held-out networks."""
    measure = "realigned_distance" if table.realigned_distance_mean.notna().all() else "nn_distance"
    unit = table[f"held_out_{measure}_mean"].fillna(table[f"zoo_{measure}_mean"])
    parts = ("{}_mean", "{}_std", "zoo_{}_mean", "held_out_{}_mean")
    return table.assign(**{part.format("distance"): table[part.format(measure)] / unit for part in parts})


def _level_line(ax: Axes, x: pd.Series, y: pd.Series, name: str, colour: str, style: str) -> None:
    """Draw what lines are compared with, over the whole width where it does not change."""
    look: dict[str, Any] = {"color": colour, "linestyle": style, "linewidth": 1.2, "label": name}
    if y.isna().all():
        return
    if several(y):
        ax.plot(x, y, **look)
    else:
        ax.axhline(y.iloc[0], **look)


def _spans_decades(values: pd.Series) -> bool:
    return bool(values.min() > 0 and values.max() >= 10 * values.min())


def accuracy_against_seconds(collection: Collection, path: Path, table: pd.DataFrame) -> None:
    """Draw every generator's mean accuracy against the seconds that a network took, its settings joined by a
    line; open marks, where something is fitted, count the fit too.

    Held-out networks cost a training and are the zoo's: a star stands for them.
    """
    points = seconds_points(collection, table)
    points = points[points.kind != "held_out"]
    points = points.assign(arm=_arms(points, ["representation", "subspace"]))
    arms, accuracies = _names(points.arm), list(points.accuracy.dropna())
    rows, columns = _names(points.recalibration), _names(points.zoo + ", " + points.canonicalization)
    with panels(rows, columns, panel=WIDE_PANEL) as (figure, axes):
        for keys, group in grouped(points, COMPARED):
            ax, zoo = axes[_panel(keys)], collection.zoo(keys)
            for names, curve in grouped(group, ["arm"]):
                mark = _mark(arms.index(names["arm"]))
                ax.plot(
                    curve.seconds,
                    curve.accuracy,
                    label=names["arm"],
                    **_curve(curve.control.iloc[0]),
                    **mark,
                )
                fitted = curve[curve.fit_seconds > 0]
                ends = fitted.accuracy, fitted.seconds, fitted.seconds_with_fit
                ax.hlines(*ends, color=mark["color"], linewidth=0.6, linestyle=":")
                ax.plot(
                    fitted.seconds_with_fit, fitted.accuracy, linestyle="", markerfacecolor="none", **mark
                )
            trained = zoo[~zoo.held_out].accuracy.mean()
            ax.plot(
                group.training_seconds_per_network.iloc[0],
                trained,
                marker="*",
                markersize=9,
                linestyle="",
                color=ZOO_COLOUR,
                label="zoo",
            )
            accuracies.append(trained)
        _label(axes, "seconds for a network", "test accuracy", xscale="log")
        limits = [ax.get_xlim() for ax in axes.values()]
        for ax in axes.values():
            _scale_by_odds(ax, accuracies)
            ax.set_xlim(min(left for left, _ in limits), max(right for _, right in limits))
            _label_seconds(ax)
        save(figure, path)


def _as_written(value: float, _place: int | None) -> str:
    return f"{value:g}"


def _label_seconds(ax: Axes) -> None:
    """Write numbers at a logarithmic x axis: at powers of ten, and between them where those are few."""
    left, right = ax.get_xlim()
    if right < 30 * left:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(_as_written))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _scale_by_odds(ax: Axes, accuracies: list[float]) -> None:
    """Scale the y axis by log-odds, which tell accuracies near 1 apart, unless one is 0 or 1."""
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    if all(0 < accuracy < 1 for accuracy in accuracies):
        ax.set_yscale("logit")
        ax.yaxis.set_major_locator(FixedLocator(ODDS_TICKS))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda accuracy, _: f"{100 * accuracy:g}%"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_minor_locator(NullLocator())


def ensembles(collection: Collection, path: Path, table: pd.DataFrame) -> None:
    """Draw the accuracy of ensembles against the seconds that their members took: larger ensembles lie to the
    right. Of each generator only the setting whose largest ensemble scores best is shown."""
    columns = table.zoo + ", " + table.canonicalization
    facts = collection.generators.set_index("generator")
    table = table.assign(
        family=table.generator.map(facts.family).fillna("zoo"),
        makes=table.generator.map(facts.makes).fillna("networks"),
    )
    table = table.assign(arm=_arms(table))
    largest = table.loc[table.groupby(KEYS, sort=False)["size"].idxmax()]
    by_arm = [*COMPARED, "subspace", "arm"]
    best = largest.loc[largest.groupby(by_arm, sort=False).accuracy.idxmax(), KEYS]
    lines = [name for name in _names(table.arm) if name != "zoo"]
    with panels(_names(table.recalibration), _names(columns)) as (figure, axes):
        for keys, rows in grouped(table.merge(best, on=KEYS), [*KEYS, "arm"]):
            name = keys["arm"]
            mark = {"color": ZOO_COLOUR, "marker": "*"} if name == "zoo" else _mark(lines.index(name))
            axes[_panel(keys)].plot(
                rows.seconds, rows.accuracy, markersize=4, linewidth=1, label=name, **mark
            )
        _label(axes, "seconds for all members", "ensemble accuracy", xscale="log")
        for ax in axes.values():
            _label_seconds(ax)
        save(figure, path)


def _curve(control: bool) -> dict[str, Any]:
    """Return how a generator's curve is drawn: controls are thin and dashed."""
    if control:
        return {"linestyle": "--", "linewidth": 1, "markersize": 5}
    return {"linestyle": "-", "linewidth": 2, "markersize": 7}


def _mark(i: int) -> dict[str, Any]:
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]}


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


def transfer_curves(collection: Collection, path: Path) -> None:
    """Draw the mean test accuracy on other data sets over epochs of fine-tuning, a line for each generator;
    bands are one standard deviation across networks."""
    frame = collection.transfers
    frame = frame.assign(
        panel=frame.zoo + " to " + frame["transfer"] + ", " + frame.canonicalization,
        line=[
            ", ".join(row)
            for row in frame[_distinct(frame, ["generator", "representation", "subspace"])].itertuples(
                index=False
            )
        ],
    )
    lines = _names(frame.line)
    with panels(_names(frame.recalibration), _names(frame.panel)) as (figure, axes):
        for keys, rows in grouped(frame, ["recalibration", "panel", "line"]):
            mean, spread = (getattr(rows.groupby("epoch").accuracy, name)() for name in ("mean", "std"))
            mark, ax = _mark(lines.index(keys["line"])), axes[keys["recalibration"], keys["panel"]]
            ax.plot(mean.index, mean, markersize=4, label=keys["line"], **mark)
            band = spread.fillna(0)
            ax.fill_between(
                mean.index, mean - band, mean + band, color=mark["color"], alpha=0.12, linewidth=0
            )
        _label(axes, "epochs of fine-tuning", "test accuracy")
        save(figure, path)


def _arms(frame: pd.DataFrame, levels: Sequence[str] = ("representation",)) -> pd.Series:
    """Return the names that curves and points of a figure share: families of generators, with those of their
    representations, and of other ``levels``, where there are several. Networks that are made without
    coordinates have none, nor have the zoo's own."""
    drawn = frame.makes == "samples"
    places = frame[list(levels)].map(family_of)
    told_apart = [level for level in levels if several(places[level][drawn])]
    if not told_apart:
        return frame.family
    return frame.family.where(~drawn, frame.family + " (" + places[told_apart].agg(", ".join, axis=1) + ")")


def _distinct(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """Return the first name, and those of the others that have more than one value."""
    return names[:1] + [name for name in names[1:] if several(frame[name])]


def loss_curves(collection: Collection, path: Path) -> None:
    """Draw training and validation loss of every flow."""
    losses = collection.losses
    zoos, canons = _names(losses.zoo), _names(losses.canonicalization)
    curves = _names(losses.generator + losses.representation)
    named = _distinct(losses, ["generator", "representation", "subspace"])
    with panels(canons or ["no flow was trained"], zoos or [""]) as (figure, axes):
        for keys, rows in grouped(losses, [*GENERATOR_KEYS, "run"]):
            ax = axes[keys["canonicalization"], keys["zoo"]]
            colour = COLOURS[curves.index(keys["generator"] + keys["representation"]) % len(COLOURS)]
            label = ", ".join(keys[level] for level in named)
            ax.plot(rows.step, rows.validation, color=colour, label=f"{label}: validation")
            ax.plot(rows.step, rows.train, color=colour, alpha=0.4, linestyle=":", label=f"{label}: training")
        for (canon, zoo), ax in axes.items():
            ax.set(title=f"{zoo}, {canon}", xlabel="step", ylabel="flow-matching loss", yscale="log")
        save(figure, path)


def explained_variance(collection: Collection, path: Path) -> None:
    """Draw the cumulative share of the total variance over components, for every basis."""
    bases = list(collection.bases())
    labelled = pd.DataFrame([labels for labels, _ in bases])
    colours = _names(labelled.canonicalization + labelled.representation)
    named = [*_distinct(labelled, ["canonicalization", "representation"]), "subspace"]
    with panels(["all"], _names(labels["zoo"] for labels, _ in bases)) as (figure, axes):
        for labels, basis in bases:
            if not basis.components:
                continue
            share = np.concatenate([[0], np.cumsum(basis.explained_variance_ratio)])
            axes["all", labels["zoo"]].plot(
                np.arange(len(share)),
                share,
                color=COLOURS[
                    colours.index(labels["canonicalization"] + labels["representation"]) % len(COLOURS)
                ],
                label=", ".join(labels[level] for level in named),
            )
        for (_, zoo), ax in axes.items():
            ax.set(title=zoo, xlabel="components", ylabel="explained variance", ylim=(0, 1.02))
        save(figure, path)


def _names(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
