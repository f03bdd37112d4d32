"""Figures of what networks cost."""

from pathlib import Path

import pandas as pd

from dwf_steps.reporting.costs import seconds_points
from dwf_steps.reporting.figures.style import (
    WIDE_PANEL,
    ZOO_COLOUR,
    arms_of,
    best_first,
    curve_style,
    label_panels,
    mark_of,
    names_of,
    panel_of,
    panels,
    save,
    scale_by_odds,
    share_decades,
    state,
    title_of,
)
from dwf_steps.reporting.overview import in_percent
from dwf_steps.reporting.record import KEYS
from dwf_steps.reporting.results import COMPARED, Collection, grouped, several

NEAR = 0.02  # of accuracy: networks that score so much less than the zoo are almost as good
BESIDE = {"size": "members", "seconds": "seconds for all members"}


def accuracy_against_seconds(collection: Collection, path: Path, table: pd.DataFrame) -> None:
    """Draw every generator's mean accuracy against the seconds per network.

    The settings of a generator are joined by a line; open marks include the fit, if there is one. Held-out
    networks cost a training and are the zoo's, so that a star stands for them. Networks whose cost is unknown
    are left out.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    table
        The `cost_table`.
    """
    points = seconds_points(collection, table)
    points = points[(points.kind != "held_out") & points.seconds.notna()]
    points = points.assign(arm=arms_of(points, ["representation", "subspace"]))
    arms, accuracies = names_of(points.arm), list(points.accuracy.dropna())
    rows, columns = names_of(points.recalibration), names_of(points.zoo + ", " + points.canonicalization)
    with panels(rows, columns, panel=WIDE_PANEL) as (figure, axes):
        for keys, group in grouped(points, COMPARED):
            ax, zoo = axes[panel_of(keys)], collection.zoo(keys)
            for names, curve in best_first(group, ["arm"]):
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
        scale_by_odds(axes.values(), accuracies)
        share_decades(axes.values())
        state(figure, _cheapest(points, collection))
        save(figure, path)


def _cheapest(points: pd.DataFrame, collection: Collection) -> str:
    """Return a sentence on the cheapest networks that are almost as accurate as trained ones."""
    if several(points.zoo):
        return "Left of the star networks cost less than training one"
    zoo = collection.zoo({level: str(points[level].iloc[0]) for level in COMPARED})
    near = points[points.accuracy >= zoo[~zoo.held_out].accuracy.mean() - NEAR]
    within = f"within {100 * NEAR:g} points of the zoo's accuracy"
    if near.empty:
        return f"No generator is {within}"
    least = near.sort_values("seconds").iloc[0]
    costs = f"{least.seconds:.2g} s a network, without the fit; training takes"
    return f"Cheapest {within}, new or not: {least.arm}, {costs} {least.training_seconds_per_network:.2g} s"


def ensembles(collection: Collection, path: Path, table: pd.DataFrame) -> None:
    """Draw the accuracy of ensembles against the number of their members, and against their seconds.

    Of each generator, only the setting with the best largest ensemble is shown. Generators whose cost is
    unknown are left out.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    table
        The `ensembles_table`.
    """
    columns = table.zoo + ", " + table.canonicalization
    facts, table = collection.generators.set_index("generator"), table[table.seconds.notna()]
    table = table.assign(
        family=table.generator.map(facts.family).fillna("zoo"),
        makes=table.generator.map(facts.makes).fillna("networks"),
    )
    table = table.assign(arm=arms_of(table))
    largest = table.loc[table.groupby(KEYS, sort=False)["size"].idxmax()]
    by_arm = [*COMPARED, "subspace", "arm"]
    best = largest.loc[largest.groupby(by_arm, sort=False).accuracy.idxmax()]
    lines = [name for name in names_of(table.arm) if name != "zoo"]
    ranked = ["zoo", *names_of(best.sort_values("accuracy", ascending=False, kind="stable").arm)]
    shown = table.merge(best[KEYS], on=KEYS)
    places = [(row, column) for row in names_of(table.recalibration) for column in names_of(columns)]
    places = [place for place in places if place in {panel_of(keys) for keys, _ in grouped(shown, COMPARED)}]
    panel_rows = [f"{row}|{column}" for row, column in places]
    with panels(panel_rows, list(BESIDE), share=False) as (figure, axes):
        curves = sorted(grouped(shown, [*KEYS, "arm"]), key=lambda curve: ranked.index(curve[0]["arm"]))
        for keys, rows in curves:
            name, place = keys["arm"], "|".join(panel_of(keys))
            mark = {"color": ZOO_COLOUR, "marker": "*"} if name == "zoo" else mark_of(lines.index(name))
            width = 2.5 if name == "zoo" else 1
            for measure in BESIDE:
                axes[place, measure].plot(
                    rows[measure], rows.accuracy, markersize=4, linewidth=width, label=name, **mark
                )
        for (row, column), panel_row in zip(places, panel_rows, strict=True):
            for measure, label in BESIDE.items():
                ax = axes[panel_row, measure]
                ax.set(title=title_of(row, column), xlabel=label, ylabel="ensemble accuracy", xscale="log")
        for measure in BESIDE:
            share_decades(axes[row, measure] for row in panel_rows)
        scale_by_odds(axes.values(), shown.accuracy)
        copies = shown.generator.map(facts.shows_training).eq(True)
        state(figure, _best_ensemble(shown[~copies]))
        save(figure, path)


def _best_ensemble(shown: pd.DataFrame) -> str:
    """Return a sentence on the best ensemble of generated networks and the best of as many trained ones."""
    generated, trained = shown[shown.generator != "zoo"], shown[shown.generator == "zoo"]
    sizes = set(generated["size"]) & set(trained["size"])
    if several(shown.zoo) or not sizes:
        return "Ensembles of generated networks beside ensembles of trained ones"
    generated, trained = (some[some["size"] == max(sizes)] for some in (generated, trained))
    first = generated.sort_values("accuracy", ascending=False).iloc[0]
    scores = f"{in_percent(first.accuracy)}, of trained ones {in_percent(trained.accuracy.max())}"
    return f"The best ensemble of {first['size']} generated networks, of {first.arm}, scores {scores}"
