"""The measures of single networks: each one's name, the tables that average it, and its function, here alone.

Reports and both evaluations, of generated networks and of the zoo, go by this page. Its modules are part of
their fingerprints, so that a changed formula evaluates again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dwf_steps.storage.outputs import Outputs

Table = Literal["accuracy", "novelty", "distances"]


@dataclass(frozen=True)
class Measure:
    """A column of `metrics.csv`, of generated networks and of the zoo's.

    Attributes
    ----------
    tables
        The tables that state its mean over networks.
    function
        Returns the measure of n networks, (n,), from what is kept of their predictions. None where the
        measure needs more than that, or belongs to one task: evaluation computes it with others.
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
    """Return the names of the measures that a table averages."""
    return tuple(measure.name for measure in MEASURES if table in measure.tables)


def prediction_measures(networks: Outputs) -> dict[str, np.ndarray]:
    """Return the measures that have a function, of n networks by name, each (n,)."""
    return {measure.name: measure.function(networks) for measure in MEASURES if measure.function is not None}
