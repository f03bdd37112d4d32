"""An overview of accuracy, novelty and cost of every generator, and the message that it supports."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dwf_steps.reporting.costs import seconds_points
from dwf_steps.reporting.record import KEYS
from dwf_steps.reporting.results import COMPARED, ZOO_KEYS, Collection, grouped, with_places
from dwf_steps.reporting.summary import DISTINCT, RETURNED

NEW = 1 - DISTINCT  # of new networks' distance: from there on networks count as new
HELD_OUT_NETWORKS, TRAINING_NETWORKS = "held-out networks", "training networks"
COPIED = 1 - RETURNED  # of new networks' distance: below it networks count as copies


def overview_table(
    collection: Collection, costs: pd.DataFrame, novelty: pd.DataFrame, accuracy: pd.DataFrame
) -> pd.DataFrame:
    """Return how good, how new and how expensive each generator's networks are, the best new ones first.

    ``relative_distance`` is the distance to the nearest training network, after realigning if that was
    measured, and ``relative_max_iou`` the mean of max IoU, both relative to the mean that ``relative_to``
    names: of held-out networks, or the zoo's leave-one-out mean if none are held out. ``seconds_with_fit``
    adds the fit divided by the generator's number of networks.

    Parameters
    ----------
    collection
        The results.
    costs
        The `cost_table`.
    novelty
        The `novelty_table`.
    accuracy
        The `accuracy_table`, for the training networks' accuracy.

    Returns
    -------
    One row per combination, grouped by zoo and canonicalization.
    """
    made = collection.networks.groupby(KEYS, sort=False, as_index=False).agg(failed_n=("failed", "sum"))
    measured = measured_distances(collection).groupby(KEYS, sort=False, as_index=False)
    means = measured.agg(
        **{
            f"{measure}_{statistic}": (measure, statistic)
            for measure in ("accuracy", "relative_distance")
            for statistic in ("mean", "std")
        }
    )
    of_zoo = accuracy[accuracy.metric == "accuracy"].rename(
        columns={"zoo_mean": "zoo_accuracy_mean", "zoo_std": "zoo_accuracy_std"}
    )
    table = made[KEYS].merge(means, on=KEYS, how="left")
    table = table.merge(of_zoo[[*KEYS, "zoo_accuracy_mean", "zoo_accuracy_std"]], on=KEYS, how="left")
    closeness = ["max_iou_mean", "relative_max_iou", "relative_to", "layer_novelty"]
    table = table.merge(_relative_max_iou(novelty)[[*KEYS, *closeness]], on=KEYS, how="left")
    seconds = seconds_points(collection, costs)[[*KEYS, "seconds_per_network", "seconds_with_fit"]]
    table = table.merge(seconds, on=KEYS, how="left").merge(made, on=KEYS)
    zoos = table.groupby(ZOO_KEYS, sort=False).ngroup()
    best_first = np.lexsort([-table.accuracy_mean, ~is_new(table), zoos])
    return table.iloc[best_first].reset_index(drop=True)


def _relative_max_iou(novelty: pd.DataFrame) -> pd.DataFrame:
    held_out, own = novelty.held_out_max_iou_mean, novelty.zoo_max_iou_mean
    unit = held_out.fillna(own)
    return novelty.assign(
        relative_max_iou=novelty.max_iou_mean / unit.where(unit > 0),
        relative_to=np.where(held_out.notna(), HELD_OUT_NETWORKS, TRAINING_NETWORKS),
    )


def measured_distances(collection: Collection) -> pd.DataFrame:
    """Return how far generated networks are from training networks, relative to new networks.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    The networks that did not fail, one row each, with ``relative_distance`` if it was measured.
    """
    frames = []
    for keys, rows in grouped(collection.networks[~collection.networks.failed], COMPARED):
        measure = distance_measure(rows)
        unit = new_networks(collection.zoo(keys))[measure].mean()
        frames.append(rows.assign(relative_distance=rows[measure] / unit))
    return pd.concat(frames, ignore_index=True)


def distance_measure(networks: pd.DataFrame) -> str:
    """Return the measure of distance to the nearest training network by which generators are compared.

    Parameters
    ----------
    networks
        Networks of all generators that are compared.

    Returns
    -------
    ``realigned_distance``, or ``nn_distance`` if no network of some generator was realigned.
    """
    return common_distance(networks.groupby(KEYS).realigned_distance.max())


def common_distance(realigned: pd.Series) -> str:
    """Return the measure of distance to the nearest training network that is known of all.

    Parameters
    ----------
    realigned
        Distances after matching again, of networks or generators; NaN where they were not measured.

    Returns
    -------
    ``realigned_distance``, or ``nn_distance`` if some were not measured.
    """
    return "realigned_distance" if realigned.notna().all() else "nn_distance"


def new_networks(zoo: pd.DataFrame) -> pd.DataFrame:
    """Return the networks of a zoo that are the reference for new networks.

    Parameters
    ----------
    zoo
        Its networks, one row each.

    Returns
    -------
    The held-out networks or, if there are none, all networks, whose values are leave-one-out.
    """
    return zoo[zoo.held_out] if zoo.held_out.any() else zoo


def is_new(table: pd.DataFrame) -> pd.Series:
    """Return which generators' networks are about as far from training networks as new networks are.

    Parameters
    ----------
    table
        The `overview_table`.

    Returns
    -------
    Of bool, one for each row.
    """
    return table.relative_distance_mean >= NEW


@dataclass(frozen=True)
class Message:
    """The message of a zoo's overview: the best new networks, and better networks that are not new."""

    headline: str
    addition: str = ""


def shown_settings(table: pd.DataFrame, collection: Collection) -> pd.DataFrame:
    """Return the setting of each generator that the overview's figure shows.

    This is the most accurate of the settings that make new networks or, if none does, of all settings.
    Held-out networks, with which the others are compared, are left out.

    Parameters
    ----------
    table
        The rows of the `overview_table` for one zoo and canonicalization.
    collection
        The results.

    Returns
    -------
    The rows shown, with each generator's properties, its ``name`` and whether it is ``new``: the best
    generator first, before and after recalibration.
    """
    table = table.merge(collection.generators, on="generator")
    table = table[(table.kind != "held_out") & table.accuracy_mean.notna()]
    table = table.assign(new=is_new(table), place=range(len(table)))
    setting = [level for level in KEYS if level != "recalibration"]
    best = table.sort_values(["new", "accuracy_mean"], ascending=False)
    levels = {level: best[level].str.partition(" ")[0] for level in ("representation", "subspace")}
    chosen = best.groupby([best.family, *levels.values()], sort=False).head(1)
    rows = chosen[setting].merge(table, on=setting)
    names = with_places(rows.generator, rows[["representation", "subspace"]], rows.makes == "samples")
    rows = rows.assign(name=names, recalibrated=rows.recalibration != "none")
    rows = rows.assign(place=rows.groupby("name").place.transform("min"))
    return rows.sort_values(["place", "recalibrated"], kind="stable", ignore_index=True)


def message(rows: pd.DataFrame, zoo: pd.DataFrame) -> Message:
    """Return the message of a zoo's overview.

    Parameters
    ----------
    rows
        From `shown_settings`.
    zoo
        Its networks, one row each.

    Returns
    -------
    For the figure's title.
    """
    whose = "held-out networks" if zoo.held_out.any() else "the zoo's own"
    trained = f"training networks: {in_percent(zoo[~zoo.held_out].accuracy.mean())}"
    rows = rows[~rows.shows_training].sort_values("accuracy_mean", ascending=False)
    if rows.empty:
        return Message(f"All networks were trained: {trained}")
    accurate, new = rows.iloc[0], rows[rows.new]
    if new.empty:
        newest = rows.sort_values("relative_distance_mean", ascending=False).iloc[0]
        reached = (
            f"those of {_of(newest)}, reach {in_percent(newest.relative_distance_mean, 0)} of their distance"
        )
        return Message(f"No networks are as new as {whose}: the newest, {reached}", _copies(accurate))
    best = new.iloc[0]
    scores = f"{in_percent(best.accuracy_mean)} accurate ({trained})"
    addition = "" if best["name"] == accurate["name"] else _copies(accurate)
    return Message(f"The best new networks come from {_of(best)}: {scores}", addition)


def in_percent(share: float, digits: int = 1) -> str:
    """Return a share as text in per cent.

    Parameters
    ----------
    share
        From 0 to 1.
    digits
        Number of digits after the decimal point.

    Returns
    -------
    With the sign.
    """
    return f"{100 * share:.{digits}f} %"


def _copies(row: pd.Series) -> str:
    kind = (
        "copies" if row.relative_distance_mean < COPIED else "closer to training networks than new ones are"
    )
    where = f"{in_percent(row.relative_distance_mean, 0)} of a new network's distance"
    return f"The most accurate, those of {_of(row)} ({in_percent(row.accuracy_mean)}), are {kind}: at {where}"


def _of(row: pd.Series) -> str:
    return row["name"] if row.recalibration == "none" else f"{row['name']}, recalibrated"
