"""The table of `dwf judge`: generated networks beside the zoo's, and whether they are copies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dwf_steps.reporting.overview import new_networks
from dwf_steps.reporting.summary import verdict

MEASURES = ("accuracy", "loss", "max_iou", "mean_iou", "disagreement", "realigned_distance", "nn_distance")
"""Of single networks, whose means the table states."""
SET = "group"
GENERATED, ZOO, HELD_OUT = "generated", "zoo", "held-out"
LEGEND = """\
zoo: each training network beside all others; held-out: networks that the generator has not seen
max IoU: overlap of mistakes with the most similar training network (1: the same mistakes)
realigned: distance to the nearest training network after matching units to it; nearest: before
layer: that distance in the layer where it is least, relative to held-out networks', or the zoo's (0: copied)
dispersion: mean distance between two networks, relative to the zoo's (0: all the same)"""


@dataclass(frozen=True)
class Judgement:
    """What is known of generated networks beside the zoo's.

    Attributes
    ----------
    table
        A row for the generated networks, one for the zoo's training networks, each beside all others, and one
        for held-out networks if there are any: ``group``, ``count`` and ``failed``, mean and standard
        deviation of each measure; of the set ``layer``, ``dispersion`` and ``data_copying``.
    networks
        A row for each network: its ``group``, its ``file``, and all measures.
    verdict
        Whether the generated networks are copies, in a sentence.
    """

    table: pd.DataFrame
    networks: pd.DataFrame
    verdict: str


@dataclass(frozen=True)
class Evaluated:
    """What the evaluation steps wrote of generated networks and of a zoo.

    Attributes
    ----------
    generated, zoo
        Their measures, a row for each network, as `evaluate` and `evaluate_zoo` write them.
    layers, zoo_layers
        Their distances in single layers, a row for each realigned network and each layer.
    of_set
        Of the generated networks as a set.
    """

    generated: pd.DataFrame
    zoo: pd.DataFrame
    layers: pd.DataFrame
    zoo_layers: pd.DataFrame
    of_set: pd.Series


def judgement_of(evaluated: Evaluated, files: Mapping[str, Mapping[str, str]]) -> Judgement:
    """Put together what was measured of generated networks and of the zoo's.

    Parameters
    ----------
    evaluated
        The measures.
    files
        By `GENERATED`, `ZOO` and `HELD_OUT`, the file of each network by its name.

    Returns
    -------
    The table, a row for each network, and a sentence.
    """
    generated, zoo = evaluated.generated, evaluated.zoo
    sets = {ZOO: zoo[~zoo.held_out], HELD_OUT: zoo[zoo.held_out]}
    frames = {GENERATED: generated} | {name: frame for name, frame in sets.items() if len(frame)}
    frames = {name: frame.reindex(columns=["network", "failed", *MEASURES]) for name, frame in frames.items()}
    of_set = evaluated.of_set
    known = {
        "layer": _nearest_layer(evaluated.layers, evaluated.zoo_layers),
        "dispersion": of_set.get("dispersion_ratio", np.nan),
        "data_copying": of_set.get("data_copying_weights", np.nan),
    }
    beside = {GENERATED: known, ZOO: {"dispersion": 1.0}}
    table = pd.DataFrame([_row(name, frame) | beside.get(name, {}) for name, frame in frames.items()])
    networks = pd.concat([frame.assign(**{SET: name}) for name, frame in frames.items()], ignore_index=True)
    pairs = zip(networks[SET], networks.network, strict=True)
    networks["file"] = [files[whose].get(name, "") for whose, name in pairs]
    networks["failed"] = networks.failed.eq(True)
    return Judgement(table, networks[[SET, "network", "file", "failed", *MEASURES]], _verdict(table))


def _row(name: str, frame: pd.DataFrame) -> dict[str, Any]:
    row: dict[str, Any] = {SET: name, "count": len(frame), "failed": int(frame.failed.eq(True).sum())}
    for measure in MEASURES:
        row |= {f"{measure}_mean": frame[measure].mean(), f"{measure}_std": frame[measure].std()}
    return row


def _nearest_layer(generated: pd.DataFrame, zoo: pd.DataFrame) -> float:
    """Return the generated networks' mean distance in the layer where it is smallest.

    It is relative to that of held-out networks, or of training networks if none are held out.
    """
    units = new_networks(zoo).groupby("layer").distance.mean()
    return float((generated.groupby("layer").distance.mean() / units.where(units > 0)).min())


def _verdict(table: pd.DataFrame) -> str:
    rows = table.set_index(SET)
    own = rows.loc[GENERATED]
    if own["count"] == own.failed:
        return "None of the generated networks works."
    values = {
        f"{whose}{measure}_mean": rows[f"{measure}_mean"].get(name, np.nan)
        for whose, name in {"": GENERATED, "zoo_": ZOO, "held_out_": HELD_OUT}.items()
        for measure in ("max_iou", "realigned_distance")
    }
    return f"The generator scores {100 * own.accuracy_mean:.1f} % {verdict(values)}."


def shown(judgement: Judgement) -> str:
    """Show a judgement in a terminal.

    Parameters
    ----------
    judgement
        What is shown.

    Returns
    -------
    The table as people read it, what its columns mean, and the verdict.
    """
    table = judgement.table

    def spread(name: str, factor: float, digits: int) -> list[str]:
        pairs = zip(factor * table[f"{name}_mean"], factor * table[f"{name}_std"], strict=True)
        return [f"{mean:.{digits}f} ± {std:.{digits}f}" for mean, std in pairs]

    columns = {
        "": table[SET],
        "networks": table["count"],
        "failed": table.failed,
        "accuracy %": spread("accuracy", 100, 2),
        "max IoU": spread("max_iou", 1, 3),
        "realigned": spread("realigned_distance", 1, 2),
        "nearest": spread("nn_distance", 1, 2),
        "layer": table.layer,
        "dispersion": table.dispersion,
    }
    text = pd.DataFrame(columns).map(lambda value: f"{value:.2f}" if isinstance(value, float) else str(value))
    text = text.map(lambda value: "" if "nan" in value.split() else value.removesuffix(" ± nan"))
    listing = text.to_markdown(index=False, tablefmt="simple", disable_numparse=True)
    return f"{listing}\n\n{LEGEND}\n\n{judgement.verdict}"
