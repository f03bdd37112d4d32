"""Figures of studies: measures along a setting."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator
from pandas.api.types import is_numeric_dtype

from dwf_steps.reporting.figures.style import (
    IOU,
    NEW_COLOUR,
    REGION,
    ZOO_COLOUR,
    as_written,
    in_percents,
    mark_of,
    panels,
    save,
    scale_by_odds,
    state,
)
from dwf_steps.reporting.overview import NEW, common_distance, in_percent, measured_distances, new_networks
from dwf_steps.reporting.record import KEYS, family_of
from dwf_steps.reporting.results import COMPARED, ZOO_KEYS, Collection, grouped, several
from dwf_steps.reporting.sweeps import study_rows

MEASURES = ("accuracy", "distance", "max_iou")
REFERENCES = {"zoo": ("zoo", ZOO_COLOUR, ":"), "held_out": ("held-out networks", NEW_COLOUR, "--")}
"""By prefix of the columns: label, colour and line style of the networks shown beside a study."""
SOLVER = {f"sampling.{name}" for name in ("solver", "steps", "rtol", "atol")}
LEAST = 1e-4  # of accuracy, on a log-odds scale
APART = 0.08  # of the axis: the least distance between settings that are all written at it


def sweep(collection: Collection, path: Path, table: pd.DataFrame, family: str, level: str) -> None:
    """Draw accuracy, distance to the nearest training network and max IoU along a sweep.

    The x axis is the first setting that is a number; there is a line for every combination of all others. The
    zoo's and held-out networks are shown beside them, as lines and, from the 5th to the 95th percentile, as
    bands. Bands along lines are one standard deviation across networks, bars one across repetitions. Accuracy
    is on a log-odds scale. All studies of the same zoos have equal ranges. Solvers are compared by
    evaluations of the velocity field. Distances are after realigning, if that was measured, relative to the
    mean of held-out networks, or to the zoo's leave-one-out mean if none are held out.

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
    labels = [keys for _, keys, _ in study_rows(collection, family, level)]
    table = pd.concat([relative_distances(table), _regions(collection, table, labels)], axis=1)
    table = table.sort_values(key, kind="stable")
    table = table.assign(x=table[key] if numbers else table[key].astype(str))
    lines = [name for name in [*KEYS, *others] if name != level and several(table[name])]
    table = table.assign(line=_line_names(table, lines))
    compared = [name for name in COMPARED if name != level]
    table = table.assign(zoo_line=_line_names(table, [name for name in compared if several(table[name])]))
    whose = "held-out networks" if table.held_out_accuracy_mean.notna().any() else "the zoo's own"
    titles = ("test accuracy", f"distance to the zoo,\nrelative to {whose}", "max IoU")
    with panels([family], list(MEASURES), share=False) as (figure, axes):
        for ((_, measure), ax), title in zip(axes.items(), titles, strict=True):
            for i, (keys, rows) in enumerate(grouped(table, ["line"])):
                mean, spread = rows[f"{measure}_mean"], rows[f"{measure}_std"].fillna(0)
                low, high = mean - spread, mean + spread
                if measure == "accuracy":
                    low = low.clip(lower=LEAST).clip(upper=mean)
                    high = high.clip(upper=1 - LEAST).clip(lower=mean)
                    error = rows.accuracy_repeats_std.fillna(0)
                    ax.errorbar(rows.x, mean, error, fmt="none", color=mark_of(i)["color"], capsize=2)
                ax.fill_between(rows.x, low, high, color=mark_of(i)["color"], alpha=0.12, linewidth=0)
                ax.plot(rows.x, mean, markersize=4, label=keys["line"] or family, **mark_of(i))
            for _, rows in grouped(table.drop_duplicates(["zoo_line", "x"]), ["zoo_line"]):
                for of in REFERENCES:
                    _draw_reference(ax, rows, of, measure)
            ax.set(xlabel=key.rpartition(".")[2], ylabel=title)
            if numbers:
                _label_settings(ax, table[key])
        _share_ranges(axes[family, "accuracy"], axes[family, "distance"], collection, table, labels)
        axes[family, "max_iou"].set_ylim(*IOU)
        in_percents(axes.values())
        state(figure, _best_setting(table, collection, key, family))
        save(figure, path)


def _share_ranges(
    accuracy: Axes, distance: Axes, collection: Collection, table: pd.DataFrame, labels: list[dict[str, str]]
) -> None:
    """Set the ranges that all studies of the same zoos share: those of all generators' mean values there."""
    zoos = pd.DataFrame(labels)[ZOO_KEYS].drop_duplicates()
    networks = measured_distances(collection).merge(zoos, on=ZOO_KEYS).groupby(KEYS)
    accuracies, distances = networks.accuracy.mean(), networks.relative_distance.agg(["mean", "std"])
    bands = table[[f"{of}_accuracy_{end}" for of in REFERENCES for end in ("low", "high")]]
    scale_by_odds([accuracy], [*accuracies, *bands.to_numpy().ravel()])
    furthest = max((distances["mean"] + distances["std"].fillna(0)).max(), table.distance_mean.max())
    distance.set_ylim(-0.03 * furthest, 1.05 * furthest)


def _label_settings(ax: Axes, values: pd.Series) -> None:
    """Scale the x axis, and write all settings at it if there is room."""
    known = places = np.sort(values.dropna().unique())
    if not len(known):
        return
    if known[0] > 0 and known[-1] >= 10 * known[0]:
        ax.set_xscale("log")
        places = np.log(known)
    if len(known) == 1 or np.diff(places).min() >= APART * (places[-1] - places[0]):
        ax.set_xticks(known)
        ax.xaxis.set_major_formatter(FuncFormatter(as_written))
        ax.xaxis.set_minor_locator(NullLocator())


def _best_setting(table: pd.DataFrame, collection: Collection, key: str, family: str) -> str:
    """Say at which setting of a study new networks are the most accurate, or all are if none is new."""
    table = table[table.accuracy_mean.notna()]
    if "generator" in table:
        facts = collection.generators.drop_duplicates("family").set_index("family")
        generated = table[~table.generator.map(family_of).map(facts.shows_training).eq(True)]
        table = generated if len(generated) else table
    if table.empty:
        return f"{family}: all networks failed"
    new = table[table.distance_mean >= NEW]
    best = (new if len(new) else table).sort_values("accuracy_mean", ascending=False).iloc[0]
    value = as_written(best[key], None) if is_numeric_dtype(table[key]) else best[key]
    line = f", {best.line}" if best.line and several(table.line) else ""
    whose = "as new as held-out ones" if table.held_out_accuracy_mean.notna().any() else "new"
    scores = f"{in_percent(best.accuracy_mean)} ({key.rpartition('.')[2]}={value}{line})"
    if new.empty:
        share = f"at {in_percent(best.distance_mean, 0)} of new networks' distance"
        return f"{family}: no networks are {whose}; the most accurate score {scores}, {share}"
    return f"{family}: of the networks that are {whose}, the most accurate score {scores}"


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


def _regions(collection: Collection, table: pd.DataFrame, labels: list[dict[str, str]]) -> pd.DataFrame:
    """Return for every row of a study where its zoo's networks lie: percentiles of every measure."""
    distance, found = common_distance(table.realigned_distance_mean), []
    for keys in labels:
        zoo = collection.zoo(keys)
        zoo = zoo.assign(distance=zoo[distance] / new_networks(zoo)[distance].mean())
        found.append(
            {
                f"{of}_{measure}_{end}": some[measure].quantile(q)
                for of, some in (("zoo", zoo[~zoo.held_out]), ("held_out", zoo[zoo.held_out]))
                for measure in MEASURES
                for end, q in zip(("low", "high"), REGION, strict=True)
            }
        )
    return pd.DataFrame(found, index=table.index)


def _draw_reference(ax: Axes, rows: pd.DataFrame, of: str, measure: str) -> None:
    """Draw a zoo's training or held-out networks as a line in a band, over the whole width if constant."""
    mean, low, high = (rows[f"{of}_{measure}_{name}"] for name in ("mean", "low", "high"))
    if mean.isna().all():
        return
    name, colour, style = REFERENCES[of]
    label = f"{name} ({rows.zoo_line.iloc[0]})" if rows.zoo_line.iloc[0] else name
    look: dict[str, Any] = {"color": colour, "linestyle": style, "label": label, "linewidth": 1.2}
    shade: dict[str, Any] = {"color": colour, "alpha": 0.15, "linewidth": 0, "zorder": 0}
    if several(mean):
        ax.plot(rows.x, mean, zorder=1.5, **look)
        ax.fill_between(rows.x, low, high, **shade)
    else:
        ax.axhline(mean.iloc[0], zorder=1.5, **look)
        ax.axhspan(low.iloc[0], high.iloc[0], **shade)
