"""The overview of an experiment: accuracy, novelty and cost side by side."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dwf_steps.reporting.figures.style import (
    COLOURS,
    NEW_COLOUR,
    REGION,
    STYLE,
    ZOO_COLOUR,
    in_percents,
    names_of,
    share_decades,
    wrapped,
    write_figure,
)
from dwf_steps.reporting.overview import (
    distance_measure,
    measured_distances,
    message,
    new_networks,
    shown_settings,
)
from dwf_steps.reporting.record import KEYS
from dwf_steps.reporting.results import ZOO_KEYS, Collection, grouped

WIDTH = 10.5  # inches
ROW = 0.24  # inches
AROUND = 1.5  # inches above and below the rows of a zoo
LEGEND = 0.6  # inches
FURTHEST = 3.0  # relative distance: networks that are further away lie at the edge
NEW_MARK, OTHER_MARK = COLOURS[0], COLOURS[4]  # dark and light in grey


@dataclass(frozen=True)
class Block:
    """The part of the figure for one zoo and canonicalization.

    Attributes
    ----------
    rows
        Rows of the `overview_table` that are shown.
    zoo
        The networks that they are compared with.
    spread
        By the labels of a row and by quantile, its networks' ``accuracy`` and ``relative_distance``.
    distance
        The measure of distance.
    training_seconds
        Seconds to train a network of the zoo.
    """

    name: str
    rows: pd.DataFrame
    zoo: pd.DataFrame
    spread: pd.DataFrame
    distance: str
    training_seconds: float

    @property
    def lines(self) -> list[str]:
        """The text at the left, from top to bottom: names below their headings."""
        new, others = (names_of(self.rows.name[self.rows.new == is_new]) for is_new in (True, False))
        others = [name for name in others if name not in new]
        whose = "held-out networks" if self.zoo.held_out.any() else "the zoo's own are"
        headed = ((f"As new as {whose}", new), ("Closer to training networks", others))
        return [line for heading, names in headed if names for line in (heading, *names)]

    @property
    def height(self) -> float:
        """Height in inches."""
        return AROUND + ROW * len(self.lines)

    @property
    def furthest(self) -> float:
        """The largest relative distance that is shown."""
        known = self.rows.relative_distance_mean.max(), *self.spread.relative_distance
        return min(FURTHEST, max(1.1, *known))


def overview(collection: Collection, path: Path, table: pd.DataFrame, costs: pd.DataFrame) -> None:
    """Draw accuracy, relative distance to the nearest training network, and seconds per network.

    Every zoo and canonicalization has a panel for each of these, with equal ranges. A generator is a row in
    all three panels; generators of new networks are above the others. Marks are means, and lines through them
    span the 5th to the 95th percentile over networks. Bands span the same percentiles of held-out and of
    training networks.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    table
        The `overview_table`.
    costs
        The `cost_table`.
    """
    networks = measured_distances(collection)
    blocks = []
    for keys, some in grouped(table, ZOO_KEYS):
        if len(rows := shown_settings(some, collection)):
            compared = keys | {"recalibration": min(rows.recalibration, key=lambda name: name != "none")}
            own = networks.merge(rows[KEYS], on=KEYS)
            spread = own.groupby(KEYS)[["accuracy", "relative_distance"]].quantile(np.array(REGION))
            trained = costs[(costs[ZOO_KEYS] == list(keys.values())).all(axis=1)].training_seconds_per_network
            blocks.append(
                Block(
                    ", ".join(keys.values()),
                    rows,
                    collection.zoo(compared),
                    spread,
                    distance_measure(own),
                    trained.iloc[0],
                )
            )
    with plt.rc_context(STYLE):
        heights = [block.height for block in blocks]
        figure = plt.figure(figsize=(WIDTH, LEGEND + sum(heights)))
        figure.subfigures(len(blocks) + 1, 1, height_ratios=[*heights, LEGEND])
        parts = figure.subfigs
        furthest = max((block.furthest for block in blocks), default=1.1)
        costs_shown = [
            _draw(part, block, furthest, named=len(blocks) > 1)
            for part, block in zip(parts, blocks, strict=False)
        ]
        share_decades(costs_shown)
        recalibrated = any((block.rows.recalibration != "none").any() for block in blocks)
        held_out = any(block.zoo.held_out.any() for block in blocks)
        handles = _legend(recalibrated, held_out)
        parts[-1].legend(handles=handles, loc="center", ncols=4, frameon=False)
        write_figure(figure, path)
        plt.close(figure)


def _draw(part: SubFigure, block: Block, furthest: float, named: bool) -> Axes:
    """Draw a block, and return the panel of its costs."""
    said = message(block.rows, block.zoo)
    headline = f"{block.name}: {said.headline}" if named else said.headline
    lines = [wrapped(line, WIDTH) for line in (headline, said.addition)]
    part.suptitle("\n".join(filter(None, lines)), x=0.01, ha="left", fontsize=10.5)
    good, new, cheap = part.subplots(1, 3, sharey=True, width_ratios=(1.1, 1.1, 0.8))
    places = {line: y for y, line in enumerate(block.lines)}
    good.set_ylim(len(places) - 0.4, -0.6)
    good.set_yticks(list(places.values()), list(places))
    for label in good.get_yticklabels():
        if label.get_text() not in set(block.rows.name):
            label.set_weight("bold")
    shown, unit = new_networks(block.zoo), new_networks(block.zoo)[block.distance].mean()
    for ax, measure, scale in ((good, "accuracy", 1.0), (new, block.distance, unit)):
        _band(ax, block.zoo.loc[~block.zoo.held_out, measure] / scale, ZOO_COLOUR, 0.3)
        if block.zoo.held_out.any():
            _band(ax, shown[measure] / scale, NEW_COLOUR, 0.5)
    in_percents((good, new), "x")
    cheap.axvline(block.training_seconds, color=ZOO_COLOUR, linestyle="--", linewidth=1)
    for row in block.rows.to_dict("records"):
        _draw_row(good, new, cheap, row, places[row["name"]], block.spread.loc[*(row[k] for k in KEYS)])
    for name, rows in block.rows.groupby("name", sort=False):
        scores = " → ".join(f"{100 * score:.1f}" for score in rows.accuracy_mean)
        good.text(1.02, places[str(name)], scores, transform=good.get_yaxis_transform(), va="center")
    good.set(xlim=(0, 1.02), title="Is it good?", xlabel="test accuracy")
    whose = "held-out networks'" if block.zoo.held_out.any() else "the zoo's own"
    label = f"distance to the nearest training network,\nrelative to {whose}"
    new.set(xlim=(-0.02 * furthest, 1.04 * furthest), title="Is it new?", xlabel=label)
    cheap.set(xscale="log", title="Is it cheap?", xlabel="seconds for a network")
    for ax in (good, new, cheap):
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
    return cheap


def _draw_row(good: Axes, new: Axes, cheap: Axes, row: dict[Any, Any], y: int, spread: pd.DataFrame) -> None:
    colour = NEW_MARK if row["new"] else OTHER_MARK
    mark: dict[str, Any] = {"marker": "o", "markersize": 6, "color": colour}
    if row["recalibration"] != "none":
        mark |= {"marker": "D", "markersize": 5, "markerfacecolor": "white"}
    line: dict[str, Any] = {"color": colour, "linewidth": 1.2, "zorder": 2}
    for ax, measure in ((good, "accuracy"), (new, "relative_distance")):
        mean = row[f"{measure}_mean"]
        beyond: dict[str, Any] = {"marker": ">"} if ax is new and mean > FURTHEST else {}
        ax.plot(spread[measure].clip(upper=FURTHEST), [y, y], **line)
        ax.plot(min(mean, FURTHEST), y, zorder=3, **mark | beyond)
    seconds = row["seconds_per_network"], row["seconds_with_fit"]
    cheap.plot(seconds, [y, y], linestyle=":", **line)
    cheap.plot(seconds[0], y, zorder=3, **mark)
    if seconds[1] > seconds[0]:
        cheap.plot(seconds[1], y, zorder=3, marker="|", markersize=8, color=colour)


def _band(ax: Axes, values: pd.Series, colour: str, alpha: float) -> None:
    ax.axvspan(*values.quantile(list(REGION)), color=colour, alpha=alpha, linewidth=0, zorder=0)


def _legend(recalibrated: bool, held_out: bool) -> list[Line2D | Patch]:
    dot: dict[str, Any] = {"marker": "o", "markersize": 6}
    handles: list[Line2D | Patch] = [
        Line2D([], [], **dot, color=NEW_MARK, label="new networks, mean and 5-95 %"),
        Line2D([], [], **dot, color=OTHER_MARK, label="others"),
    ]
    if recalibrated:
        look: dict[str, Any] = {"marker": "D", "markersize": 5, "markerfacecolor": "white", "linestyle": ""}
        handles.append(Line2D([], [], color="black", label="recalibrated", **look))
    if held_out:
        handles.append(Patch(color=NEW_COLOUR, alpha=0.5, linewidth=0, label="held-out networks, 5-95 %"))
    return [
        *handles,
        Patch(color=ZOO_COLOUR, alpha=0.3, linewidth=0, label="training networks, 5-95 %"),
        Line2D([], [], color=ZOO_COLOUR, linestyle="--", linewidth=1, label="training a network"),
        Line2D(
            [], [], color="black", linestyle=":", marker="|", markersize=8, label="with its share of the fit"
        ),
    ]
