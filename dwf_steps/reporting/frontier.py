"""Accuracy at novelty: how accurate a generator is where it is as new as the zoo's networks."""

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
    """One generator at several settings, ordered by increasing closeness.

    Attributes
    ----------
    closeness
        To the training networks, (points,).
    accuracy
        Mean test accuracy, (points,).
    """

    closeness: np.ndarray
    accuracy: np.ndarray

    @classmethod
    def through(cls, closeness: np.ndarray, accuracy: np.ndarray) -> "Curve":
        order = np.argsort(closeness, kind="stable")
        return cls(np.asarray(closeness)[order], np.asarray(accuracy)[order])

    def frontier(self, at: np.ndarray) -> np.ndarray:
        """Return the best accuracy of any point on the curve that is no closer than ``at``.

        The curve is linear between settings. Values are NaN where all points are closer.

        Parameters
        ----------
        at
            Closeness, (n,).

        Returns
        -------
        Accuracies (n,).
        """
        straight = np.interp(at, self.closeness, self.accuracy)
        reached = np.where(at >= self.closeness[0], straight, -np.inf)
        passed = self.closeness[None, :] <= at[:, None]
        best = np.where(passed, self.accuracy[None, :], -np.inf).max(axis=1)
        result = np.maximum(best, np.where(at <= self.closeness[-1], reached, -np.inf))
        return np.where(np.isfinite(result), result, np.nan)


def curve_points(collection: Collection) -> pd.DataFrame:
    """Return the mean accuracy and closeness of every generator at every setting.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per combination, over networks that did not fail, with properties of the generator.
    """
    good = collection.networks[~collection.networks.failed].merge(collection.generators, on="generator")
    by = [*CURVE, "generator", "kind", "control", "shows_training", "makes"]
    measures = ["accuracy", *CLOSENESS]
    return good.groupby(by, sort=False, as_index=False)[measures].mean()


def novelty_accuracy_table(collection: Collection) -> pd.DataFrame:
    """Return the best accuracy of every generator at the novelty of the zoo's and of held-out networks.

    ``accuracy_at_zoo`` is the best accuracy at which generated networks are as new as the zoo's networks are
    to each other, ``accuracy_at_held_out`` that at which they are as new as held-out networks.
    ``area_over_controls`` is the integral of the difference between the generator's frontier and the joint
    frontier of all controls, over the closeness that they cover, divided by its range. Freshly trained and
    held-out networks do not count as controls here.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per generator and measure of novelty.
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
    """Return the mean difference between a curve's frontier and the joint frontier of all controls.

    The range is from the closeness at which both have begun to the largest closeness of any.

    Parameters
    ----------
    curve
        The generator's.
    controls
        Curves of the controls.
    steps
        Number of points at which the difference is evaluated.

    Returns
    -------
    Difference of accuracies; NaN without controls.
    """
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
