"""The style that all figures share: colour-blind-safe colours, panels, legends and names."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from dwf_steps.reporting.record import family_of
from dwf_steps.reporting.results import grouped, several, with_places
from dwf_steps.storage.atomic import replacing

logging.getLogger("fontTools").setLevel(logging.WARNING)  # else every glyph is a line of the log

# Okabe & Ito (2008): distinguishable with every common colour deficiency. Grey is for yellow, which is
# hard to see on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MARKERS = "osD^vP*X"
ZOO_COLOUR = "#555555"
REGION = (0.05, 0.95)  # quantiles of networks between which bands are drawn
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
LEGEND_WIDTH = 2.2
LEGEND_LINE = 0.19
TITLE_CHARACTERS = 28  # on a line above a panel
MOST_NAMED = 4  # generators in a figure's title
ODDS_TICKS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
ODDS_MARGIN, ODDS_LEAST = 0.05, 0.1  # around accuracies: a share of their range, and log-odds
LEAST_TICKS = 3
IOU = (-0.03, 1.03)  # range of axes
CHARACTERS = 13  # of a figure's title, an inch


@contextmanager
def panels(
    rows: list[str],
    columns: list[str],
    share: bool = True,
    panel: tuple[float, float] = PANEL,
    legend: float = LEGEND_WIDTH,
) -> Iterator[tuple[Figure, dict[tuple[str, str], Axes]]]:
    """Yield a figure with a panel for every pair of a row and a column, beside room for a legend.

    A single row or column is laid out from left to right, `ACROSS` panels at a time.

    Parameters
    ----------
    rows, columns
        Names of the rows and of the columns.
    share
        Whether the panels of a column share their y axis.
    panel
        Width and height of a panel in inches.
    legend
        Width of the room for a legend in inches.

    Yields
    ------
    The figure, and its panels by row and column; the figure is closed afterwards.
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
    """Add a legend to a figure, and write it as pdf and as png.

    Panels with nothing to show are hidden if others have data. One legend for all panels is on the right; the
    figure is widened for long names.

    Parameters
    ----------
    figure
        From `panels`.
    path
        Its suffix is replaced.
    """
    shown = [ax for ax in figure.axes if ax.has_data()]
    for ax in figure.axes:
        ax.set_visible(ax in shown or not shown)
    handles: dict[str, Artist] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        # Tall enough for the legend below what is written above the panels.
        above = 2 * (1 + figure.get_suptitle().count("\n")) if figure.get_suptitle() else 0
        figure.set_figheight(max(figure.get_figheight(), LEGEND_LINE * (len(handles) + 2 + above)))
        legend = figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside right center",
            frameon=False,
            markerscale=1.6,
        )
        width = legend.get_window_extent().width / figure.dpi
        figure.set_figwidth(figure.get_figwidth() + max(0, width - LEGEND_WIDTH))
    write_figure(figure, path)


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as pdf and as png.

    Parameters
    ----------
    figure
        What to write.
    path
        Its ending is replaced.
    """
    for ending in (".pdf", ".png"):
        with replacing(path.with_suffix(ending)) as partial:
            figure.savefig(partial, metadata={"CreationDate": None} if ending == ".pdf" else None)


def state(figure: Figure, message: str) -> None:
    """Write the message of a figure above its panels.

    Parameters
    ----------
    figure
        From `panels`.
    message
        A sentence, which is wrapped to the width of the figure.
    """
    figure.suptitle(wrapped(message, figure.get_figwidth()), x=0.01, ha="left", fontsize=10.5)


def wrapped(message: str, width: float) -> str:
    """Return a message in lines that fit above a figure.

    Parameters
    ----------
    message
        A sentence.
    width
        Width of the figure in inches.

    Returns
    -------
    The message with line breaks.
    """
    return fill(message, int(CHARACTERS * width))


def best_first(frame: pd.DataFrame, keys: list[str]) -> list[tuple[dict[str, str], pd.DataFrame]]:
    """Return the rows of each combination of labels in the order in which a legend lists them.

    Parameters
    ----------
    frame
        With a column ``accuracy``.
    keys
        Columns with labels.

    Returns
    -------
    The labels and the rows of each combination, by descending mean accuracy.
    """
    return sorted(grouped(frame, keys), key=lambda found: -found[1].accuracy.mean())


def listed(names: Sequence[str]) -> str:
    """Return the first names as text.

    Parameters
    ----------
    names
        Names for a title.

    Returns
    -------
    At most `MOST_NAMED` names; "and others" stands for the rest.
    """
    return ", ".join(names[:MOST_NAMED]) + (" and others" if len(names) > MOST_NAMED else "")


def in_percents(axes: Iterable[Axes], which: Literal["x", "y", "both"] = "y") -> None:
    """Write the tick labels of axes in per cent.

    Parameters
    ----------
    axes
        The panels.
    which
        Their axes with shares from 0 to 1.
    """
    for ax in axes:
        for axis in (ax.xaxis, ax.yaxis) if which == "both" else (getattr(ax, f"{which}axis"),):
            axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}%"))


def scale_by_odds(axes: Iterable[Axes], accuracies: Iterable[float]) -> None:
    """Scale y axes by log-odds, which separate accuracies near 1, unless an accuracy is 0 or 1 or beyond.

    All axes get the same range and ticks in per cent.

    Parameters
    ----------
    axes
        The panels.
    accuracies
        What they show, from 0 to 1; missing ones are left out.
    """
    axes = list(axes)
    known = [accuracy for accuracy in accuracies if np.isfinite(accuracy)]
    if not known:
        return
    low, high = min(known), max(known)
    if low > 0 and high < 1:
        ends = np.log([low / (1 - low), high / (1 - high)])
        margin = max(ODDS_MARGIN * (ends[1] - ends[0]), ODDS_LEAST)
        limits = 1 / (1 + np.exp([margin - ends[0], -margin - ends[1]]))
        within = [tick for tick in ODDS_TICKS if limits[0] <= tick <= limits[1]]
        for ax in axes:
            ax.set_yscale("logit")
            ax.set_ylim(*limits)
            if len(within) >= LEAST_TICKS:
                ax.yaxis.set_major_locator(FixedLocator(within))
            else:
                ax.yaxis.set_major_locator(MaxNLocator(5))
            ax.yaxis.set_minor_locator(NullLocator())
            ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        margin = 0.05 * (high - low) or 0.05
        for ax in axes:
            ax.set_ylim(low - margin, high + margin)
    in_percents(axes)


def panel_of(keys: dict[str, str]) -> tuple[str, str]:
    """Return the row and the column of the panel for a combination.

    Parameters
    ----------
    keys
        The combination's labels.

    Returns
    -------
    The recalibration, and the zoo with its canonicalization.
    """
    return keys["recalibration"], f"{keys['zoo']}, {keys['canonicalization']}"


def label_panels(axes: dict[tuple[str, str], Axes], x: str, y: str, **more: Any) -> None:
    """Set the titles and axis labels of panels.

    Parameters
    ----------
    axes
        Panels by row and column.
    x, y
        Labels of the axes.
    more
        Further properties for every panel's `Axes.set`.
    """
    for (row, column), ax in axes.items():
        ax.set(title=title_of(row, column), xlabel=x, ylabel=y, **more)


def title_of(row: str, column: str) -> str:
    """Return a panel's title, wrapped.

    Parameters
    ----------
    row
        Name of the row, a recalibration.
    column
        Name of the column.

    Returns
    -------
    The column's name, with the recalibration if there is one.
    """
    return fill(column if row == "none" else f"{column}, recalibration {row}", TITLE_CHARACTERS)


def as_written(value: float, _place: int | None) -> str:
    """Return a tick label without trailing zeros.

    Parameters
    ----------
    value
        Position of the tick.

    Returns
    -------
    The number, in ``%g`` format.
    """
    return f"{value:g}"


def share_decades(axes: Iterable[Axes]) -> None:
    """Give logarithmic x axes one range, with labels at powers of ten, and between them where these are few.

    Parameters
    ----------
    axes
        The panels.
    """
    axes = list(axes)
    limits = [ax.get_xlim() for ax in axes]
    left, right = min(limit for limit, _ in limits), max(limit for _, limit in limits)
    for ax in axes:
        ax.set_xlim(left, right)
        if right < 30 * left:
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(as_written))
        ax.xaxis.set_minor_formatter(NullFormatter())


def curve_style(control: bool) -> dict[str, Any]:
    """Return the style of a generator's curve: controls are thin and dashed.

    Parameters
    ----------
    control
        Whether the generator is a control.

    Returns
    -------
    Properties of a line.
    """
    if control:
        return {"linestyle": "--", "linewidth": 1, "markersize": 5}
    return {"linestyle": "-", "linewidth": 2, "markersize": 7}


def mark_of(i: int) -> dict[str, Any]:
    """Return the colour and the marker of a curve.

    Parameters
    ----------
    i
        Number of the curve.

    Returns
    -------
    Properties of a line; they repeat only after all pairs.
    """
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]}


def arms_of(frame: pd.DataFrame, levels: Sequence[str] = ("representation",)) -> pd.Series:
    """Return the names that the curves and points of a figure share.

    These are families of generators, with the families of ``levels`` where there are several. Networks that
    are made without coordinates, and the zoo's, have no such levels.

    Parameters
    ----------
    frame
        With columns ``family``, ``makes`` and those of ``levels``.
    levels
        Levels that distinguish curves, such as ``representation``.

    Returns
    -------
    A name for each row.
    """
    return with_places(frame.family, frame[list(levels)].map(family_of), frame.makes == "samples")


def distinct(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """Return the first name, and those of the others that have several values.

    Parameters
    ----------
    frame
        With a column for each name.
    names
        Columns.

    Returns
    -------
    The names to show.
    """
    return names[:1] + [name for name in names[1:] if several(frame[name])]


def names_of(values: Iterable[str]) -> list[str]:
    """Return values without repetitions.

    Parameters
    ----------
    values
        In any order.

    Returns
    -------
    Each value once, in order of appearance.
    """
    return list(dict.fromkeys(values))
