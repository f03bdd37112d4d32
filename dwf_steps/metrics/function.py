"""How networks compare with the training networks by their predictions on the test set."""

import numpy as np
import pandas as pd

from dwf_steps.metrics.leave_one_out import without_relatives
from dwf_steps.metrics.measures import prediction_measures
from dwf_steps.metrics.novelty import wrong_set_iou
from dwf_steps.storage.outputs import Outputs
from dwf_steps.subspace.gram import EVERY
from dwf_steps.tasks import task_of
from dwf_steps.tasks.similarity import disagreement


def function_measures(
    networks: Outputs, training: Outputs, trajectories: np.ndarray | None = None, rows: slice = EVERY
) -> pd.DataFrame:
    """Return one row a network: how good it is (`Task.scores`), and how close to the training networks.

    ``max_iou`` and ``mean_iou`` are over all training networks, ``similar`` is the one with the largest
    wrong-set IoU, ``jensen_shannon`` (nats) the mean divergence from it over the test items, of numbers the
    ``mean_absolute_difference`` in the target's own unit, and ``disagreement`` the mean share of
    items on which a training network comes down to another answer. Measures of predictions alone
    (`Measure.function`) follow.

    Parameters
    ----------
    trajectories, rows
        Where these networks are training networks themselves: which of them, and the trainings that all are
        checkpoints of, (n,). Each is left out of its own comparison with what it descends with.
    """
    task = task_of(networks.task, networks.tolerance, networks.scale)
    predictions, known = networks.predictions, training.predictions
    overlap = wrong_set_iou(task.wrong(predictions, networks.targets), task.wrong(known, training.targets))
    choices, others = task.choices(predictions), task.choices(known)
    apart = disagreement(choices, others, 1 + max(choices.max(), others.max()))
    if trajectories is not None:
        overlap, apart = (
            without_relatives(values, trajectories, np.nan, rows) for values in (overlap, apart)
        )
    similar = np.nanargmax(overlap, axis=1)
    return pd.DataFrame(
        task.scores(predictions, networks.targets)
        | {
            "max_iou": np.nanmax(overlap, axis=1),
            "mean_iou": np.nanmean(overlap, axis=1),
            "similar": training.names[similar],
            "disagreement": np.nanmean(apart, axis=1),
        }
        | task.divergences(predictions, known[similar])
        | prediction_measures(networks),
        index=pd.Index(networks.names, name="network"),
    )
