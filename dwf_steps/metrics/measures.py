"""The registry of measures of single networks: names, the tables that average them, and functions.

Reports and the evaluation of generated networks and of the zoo read it. Its modules are part of both
evaluations' fingerprints, so that a changed formula reruns them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dwf_steps.storage.outputs import Outputs

Table = Literal["accuracy", "novelty", "distances"]


@dataclass(frozen=True)
class Measure:
    """A column of `metrics.csv`, for generated networks and for the zoo.

    Attributes
    ----------
    name
        Of the column.
    tables
        The tables that state its mean over networks.
    function
        Returns the measure of n networks, (n,), given their predictions. None if evaluation computes the
        measure elsewhere: it needs more than predictions, or belongs to one task.
    """

    name: str
    tables: tuple[Table, ...]
    function: Callable[[Outputs], np.ndarray] | None = None


MEASURES = (
    Measure("accuracy", ("accuracy",)),
    Measure("balanced_accuracy", ("accuracy",)),
    Measure("lowest_class_accuracy", ("accuracy",)),
    Measure("loss", ("accuracy",)),
    Measure("brier", ("accuracy",)),
    Measure("calibration_error", ("accuracy",)),
    Measure("spearman", ("accuracy",)),
    Measure("r2", ("accuracy",)),
    Measure("mean_absolute_error", ("accuracy",)),
    Measure("max_iou", ("novelty",)),
    Measure("mean_iou", ("novelty",)),
    Measure("disagreement", ("novelty",)),
    Measure("jensen_shannon", ("novelty",)),
    Measure("mean_absolute_difference", ("novelty",)),
    Measure("prediction_distance", ("novelty",)),
    Measure("nn_distance", ("novelty", "distances")),
    Measure("realigned_distance", ("distances",)),
    Measure("span_share", ("distances",)),
    Measure("max_squared_cosine", ("distances",)),
)


def measures_in(table: Table) -> tuple[str, ...]:
    """Return the names of the measures that a table averages.

    Parameters
    ----------
    table
        The table.

    Returns
    -------
    Column names of `metrics.csv`, in the order of the registry.
    """
    return tuple(measure.name for measure in MEASURES if table in measure.tables)


def prediction_measures(networks: Outputs) -> dict[str, np.ndarray]:
    """Compute the measures that only need predictions.

    Parameters
    ----------
    networks
        Predictions of n networks.

    Returns
    -------
    Values (n,) by the measure's name.
    """
    return {measure.name: measure.function(networks) for measure in MEASURES if measure.function is not None}
