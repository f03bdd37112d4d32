"""Figures of what networks cost."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    NullLocator,
    PercentFormatter,
)

from dwf_steps.reporting.costs import seconds_points
from dwf_steps.reporting.figures.style import (
    WIDE_PANEL,
    ZOO_COLOUR,
    arms_of,
    as_written,
    curve_style,
    label_panels,
    mark_of,
    names_of,
    panel_of,
    panels,
    save,
)
from dwf_steps.reporting.record import KEYS
from dwf_steps.reporting.results import COMPARED, Collection, grouped

ODDS_TICKS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)


def accuracy_against_seconds(collection: Collection, path: Path, table: pd.DataFrame) -> None:
    """Draw every generator's mean accuracy against the seconds that a network took, its settings joined by a
    line; open marks, where something is fitted, count the fit too.

    Held-out networks cost a training and are the zoo's: a star stands for them. Networks whose seconds are
    not known are left out.
    """
    points = seconds_points(collection, table)
    points = points[(points.kind != "held_out") & points.seconds.notna()]
    points = points.assign(arm=arms_of(points, ["representation", "subspace"]))
    arms, accuracies = names_of(points.arm), list(points.accuracy.dropna())
    rows, columns = names_of(points.recalibration), names_of(points.zoo + ", " + points.canonicalization)
    with panels(rows, columns, panel=WIDE_PANEL) as (figure, axes):
        for keys, group in grouped(points, COMPARED):
            ax, zoo = axes[panel_of(keys)], collection.zoo(keys)
            for names, curve in grouped(group, ["arm"]):
                mark = mark_of(arms.index(names["arm"]))
                ax.plot(
                    curve.seconds,
                    curve.accuracy,
                    label=names["arm"],
                    **curve_style(curve.control.iloc[0]),
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
        label_panels(axes, "seconds for a network", "test accuracy", xscale="log")
        limits = [ax.get_xlim() for ax in axes.values()]
        for ax in axes.values():
            _scale_by_odds(ax, accuracies)
            ax.set_xlim(min(left for left, _ in limits), max(right for _, right in limits))
            _label_seconds(ax)
        save(figure, path)


def ensembles(collection: Collection, path: Path, table: pd.DataFrame) -> None:
    """Draw the accuracy of ensembles against the seconds that their members took: larger ensembles lie to the
    right. Of each generator only the setting whose largest ensemble scores best is shown."""
    columns = table.zoo + ", " + table.canonicalization
    facts, table = collection.generators.set_index("generator"), table[table.seconds.notna()]
    table = table.assign(
        family=table.generator.map(facts.family).fillna("zoo"),
        makes=table.generator.map(facts.makes).fillna("networks"),
    )
    table = table.assign(arm=arms_of(table))
    largest = table.loc[table.groupby(KEYS, sort=False)["size"].idxmax()]
    by_arm = [*COMPARED, "subspace", "arm"]
    best = largest.loc[largest.groupby(by_arm, sort=False).accuracy.idxmax(), KEYS]
    lines = [name for name in names_of(table.arm) if name != "zoo"]
    with panels(names_of(table.recalibration), names_of(columns)) as (figure, axes):
        for keys, rows in grouped(table.merge(best, on=KEYS), [*KEYS, "arm"]):
            name = keys["arm"]
            mark = {"color": ZOO_COLOUR, "marker": "*"} if name == "zoo" else mark_of(lines.index(name))
            axes[panel_of(keys)].plot(
                rows.seconds, rows.accuracy, markersize=4, linewidth=1, label=name, **mark
            )
        label_panels(axes, "seconds for all members", "ensemble accuracy", xscale="log")
        for ax in axes.values():
            _label_seconds(ax)
        save(figure, path)


def _label_seconds(ax: Axes) -> None:
    """Write numbers at a logarithmic x axis: at powers of ten, and between them where those are few."""
    left, right = ax.get_xlim()
    if right < 30 * left:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(as_written))
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
