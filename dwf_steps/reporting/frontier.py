"""Accuracy at novelty: how good a generator is where it is as new as the zoo's own networks are."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from dwf_steps.reporting.results import COMPARED, Collection, grouped

GENERATOR = ["representation", "subspace", "family"]
CURVE = [*COMPARED, *GENERATOR]

# Measure -> sign that makes larger values mean closer to the training networks.
CLOSENESS = {"max_iou": 1.0, "nn_distance": -1.0, "realigned_distance": -1.0}


@dataclass(frozen=True)
class Curve:
    """Points of one generator at several settings: ``closeness`` to the training networks and ``accuracy``
    (points,), by increasing closeness."""

    closeness: np.ndarray
    accuracy: np.ndarray

    @classmethod
    def through(cls, closeness: np.ndarray, accuracy: np.ndarray) -> "Curve":
        order = np.argsort(closeness, kind="stable")
        return cls(np.asarray(closeness)[order], np.asarray(accuracy)[order])

    def frontier(self, at: np.ndarray) -> np.ndarray:
        """Return the best accuracy of any point on the curve that is no closer than ``at``; NaN where all
        are. Between two settings the curve is straight."""
        straight = np.interp(at, self.closeness, self.accuracy)
        reached = np.where(at >= self.closeness[0], straight, -np.inf)
        passed = self.closeness[None, :] <= at[:, None]
        best = np.where(passed, self.accuracy[None, :], -np.inf).max(axis=1)
        result = np.maximum(best, np.where(at <= self.closeness[-1], reached, -np.inf))
        return np.where(np.isfinite(result), result, np.nan)


def curve_points(collection: Collection) -> pd.DataFrame:
    """Return a row for every generator at every setting: mean accuracy and closeness over its networks."""
    good = collection.networks[~collection.networks.failed].merge(collection.generators, on="generator")
    by = [*CURVE, "generator", "kind", "control", "shows_training", "makes"]
    measures = ["accuracy", *CLOSENESS]
    return good.groupby(by, sort=False, as_index=False)[measures].mean()


def novelty_accuracy_table(collection: Collection) -> pd.DataFrame:
    """Return, for every generator and measure of novelty, the best accuracy at which its networks are
    as new as the zoo's are to each other (``accuracy_at_zoo``) and as held-out networks are
    (``accuracy_at_held_out``), and how far its curve lies above the best control's on average; freshly
    trained and held-out networks are no controls here.

    ``area_over_controls`` is the integral of the difference between its frontier and that of all controls
    together, over the closeness that both reach, divided by that range.
    """
    points = curve_points(collection)
    rows = []
    for keys, group in grouped(points, COMPARED):
        zoo = collection.zoo(keys)
        known = {m: sign for m, sign in CLOSENESS.items() if group[m].notna().all()}
        controls = group[group.control & ~group.shows_training]
        for (measure, sign), (named, curve) in product(known.items(), grouped(group, GENERATOR)):
            training, held_out = zoo[~zoo.held_out][measure].mean(), zoo[zoo.held_out][measure].mean()
            own = Curve.through(sign * curve[measure].to_numpy(), curve.accuracy.to_numpy())
            at = own.frontier(np.array([sign * training, sign * held_out]))
            rows.append(
                keys
                | {
                    "representation": named["representation"],
                    "subspace": named["subspace"],
                    "generator": named["family"],
                    "kind": curve.kind.iloc[0],
                    "settings": len(curve),
                    "novelty": measure,
                    "zoo_novelty": training,
                    "held_out_novelty": held_out,
                    "accuracy_at_zoo": at[0],
                    "accuracy_at_held_out": at[1],
                    "zoo_accuracy": zoo[~zoo.held_out].accuracy.mean(),
                    "area_over_controls": area_over(own, _curves(controls, measure)),
                }
            )
    return pd.DataFrame(rows)


def area_over(curve: Curve, controls: list[Curve], steps: int = 1001) -> float:
    """Return the mean difference between a curve's frontier and that of all controls together, over the
    closeness from where both begin to the furthest point of any; NaN without controls."""
    if not controls:
        return np.nan
    first = max(curve.closeness[0], min(control.closeness[0] for control in controls))
    last = max(curve.closeness[-1], *(control.closeness[-1] for control in controls))
    at = np.linspace(first, last, steps)
    best = np.nanmax(np.stack([control.frontier(at) for control in controls]), axis=0)
    difference = curve.frontier(at) - best
    if last == first:
        return float(difference[0])
    return float(np.trapezoid(difference, at) / (last - first))


def _curves(points: pd.DataFrame, measure: str) -> list[Curve]:
    sign = CLOSENESS[measure]
    return [
        Curve.through(sign * curve[measure].to_numpy(), curve.accuracy.to_numpy())
        for _, curve in grouped(points, GENERATOR)
    ]
