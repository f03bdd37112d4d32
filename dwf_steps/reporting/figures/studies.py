"""Figures of studies: measures along a setting."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator
from pandas.api.types import is_numeric_dtype

from dwf_steps.reporting.figures.style import (
    NEW_COLOUR,
    REGION,
    ZOO_COLOUR,
    as_written,
    in_percents,
    mark_of,
    panels,
    save,
    state,
)
from dwf_steps.reporting.overview import common_distance, in_percent, new_networks
from dwf_steps.reporting.record import KEYS
from dwf_steps.reporting.results import COMPARED, Collection, grouped, several

SWEPT = {
    "test accuracy": "accuracy",
    "distance to the zoo,\nrelative to held-out networks": "distance",
    "max IoU": "max_iou",
}
"""What figures of studies show, by the label of the axis."""
SOLVER = {f"sampling.{name}" for name in ("solver", "steps", "rtol", "atol")}
MOST_TICKS = 8  # values of a study that are all written at its axis


def sweep(collection: Collection, path: Path, table: pd.DataFrame, family: str, level: str) -> None:
    """Draw accuracy, distance to the nearest training network and max IoU along a sweep.

    The x axis is the first setting that is a number; there is a line for every combination of all others. The
    zoo's and held-out networks are shown beside them, as lines and, from the 5th to the 95th percentile, as
    bands over the whole width. Bands along lines are one standard deviation across networks, bars one across
    repetitions. Solvers are compared by evaluations of the velocity field. Distances are after
    realigning, if that was measured, relative to the mean of held-out networks, or to the zoo's leave-one-out
    mean if none are held out.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    table
        The `sweep_table`.
    family
        Name of the definition with the sweep.
    level
        Its level, such as ``generator``.
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
                    rows.x, mean - spread, mean + spread, color=mark_of(i)["color"], alpha=0.12, linewidth=0
                )
                ax.plot(rows.x, mean, markersize=4, label=keys["line"] or family, **mark_of(i))
                if measure == "accuracy":
                    error = rows.accuracy_repeats_std.fillna(0)
                    ax.errorbar(rows.x, mean, error, fmt="none", color=mark_of(i)["color"], capsize=2)
            for keys, rows in grouped(table.drop_duplicates(["zoo_line", "x"]), ["zoo_line"]):
                of = f" ({keys['zoo_line']})" if keys["zoo_line"] else ""
                _level_line(ax, rows.x, rows[f"zoo_{measure}_mean"], f"zoo{of}", ZOO_COLOUR, ":")
                if level not in COMPARED:
                    labels = {name: str(rows[name].iloc[0]) for name in COMPARED}
                    _draw_regions(
                        ax, collection.zoo(labels), measure, common_distance(table.realigned_distance_mean)
                    )
                held_out = rows[f"held_out_{measure}_mean"]
                _level_line(ax, rows.x, held_out, f"held-out networks{of}", NEW_COLOUR, "--")
            ax.set(xlabel=key.rpartition(".")[2], ylabel=title)
            if numbers and _spans_decades(table[key]):
                ax.set_xscale("log")
                if table[key].nunique() <= MOST_TICKS:
                    ax.set_xticks(sorted(table[key].unique()))
                    ax.xaxis.set_major_formatter(FuncFormatter(as_written))
                    ax.xaxis.set_minor_locator(NullLocator())
        in_percents(axes.values())
        state(figure, _best_setting(table, key, family))
        save(figure, path)


def _best_setting(table: pd.DataFrame, key: str, family: str) -> str:
    """Say where along a study networks are the most accurate."""
    if table.accuracy_mean.isna().all():
        return f"{family}: all networks failed"
    best = table.sort_values("accuracy_mean", ascending=False).iloc[0]
    value = as_written(best[key], None) if is_numeric_dtype(table[key]) else best[key]
    line = f" ({best.line})" if best.line and several(table.line) else ""
    scores = f"{in_percent(best.accuracy_mean)} at {in_percent(best.distance_mean, 0)} relative distance"
    return f"{family}: most accurate at {key.rpartition('.')[2]} {value}{line}, {scores}"


def _line_names(table: pd.DataFrame, levels: list[str]) -> list[str]:
    """Return each row's values of some columns, without recalibrations that change nothing."""
    shown = table[levels].astype(str)
    if "recalibration" in levels:
        named = ("recalibration " + shown.recalibration).mask(shown.recalibration == "none", "")
        shown = shown.assign(recalibration=named)
    return [", ".join(filter(None, row)) for row in shown.itertuples(index=False)]


def relative_distances(table: pd.DataFrame) -> pd.DataFrame:
    """Return a study's table with distances relative to those of held-out networks.

    Parameters
    ----------
    table
        The `sweep_table`.

    Returns
    -------
    The table with ``distance`` to the nearest training network, and its columns for the zoo and for held-out
    networks.
    """
    measure = common_distance(table.realigned_distance_mean)
    unit = table[f"held_out_{measure}_mean"].fillna(table[f"zoo_{measure}_mean"])
    parts = ("{}_mean", "{}_std", "zoo_{}_mean", "held_out_{}_mean")
    return table.assign(**{part.format("distance"): table[part.format(measure)] / unit for part in parts})


def _draw_regions(ax: Axes, zoo: pd.DataFrame, measure: str, distance: str) -> None:
    """Shade where the networks of a zoo lie: training networks grey, held-out ones green."""
    column, unit = measure, 1.0
    if measure == "distance":
        column, unit = distance, new_networks(zoo)[distance].mean()
    for some, colour in ((zoo[~zoo.held_out], ZOO_COLOUR), (zoo[zoo.held_out], NEW_COLOUR)):
        if some[column].notna().any():
            low, high = some[column].quantile(list(REGION)) / unit
            ax.axhspan(low, high, color=colour, alpha=0.15, linewidth=0, zorder=0)


def _level_line(ax: Axes, x: pd.Series, y: pd.Series, name: str, colour: str, style: str) -> None:
    """Draw a line of reference, over the whole width if it is constant."""
    look: dict[str, Any] = {"color": colour, "linestyle": style, "linewidth": 1.2, "label": name}
    if y.isna().all():
        return
    if several(y):
        ax.plot(x, y, **look)
    else:
        ax.axhline(y.iloc[0], **look)


def _spans_decades(values: pd.Series) -> bool:
    return bool(values.min() > 0 and values.max() >= 10 * values.min())
