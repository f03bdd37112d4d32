"""Comparison of networks with the training networks by their predictions on the test set."""

import numpy as np
import pandas as pd

from dwf_steps.metrics.leave_one_out import without_relatives
from dwf_steps.metrics.measures import prediction_measures
from dwf_steps.metrics.novelty import wrong_set_iou
from dwf_steps.storage.outputs import Outputs
from dwf_steps.subspace.gram import EVERY
from dwf_steps.tasks import task_of
from dwf_steps.tasks.classification import class_accuracies
from dwf_steps.tasks.similarity import disagreement


def function_measures(
    networks: Outputs, training: Outputs, trajectories: np.ndarray | None = None, rows: slice = EVERY
) -> pd.DataFrame:
    """Score networks and compare their predictions with those of all training networks.

    Parameters
    ----------
    networks
        Predictions of the k networks to evaluate.
    training
        Predictions of the n training networks.
    trajectories
        If the evaluated networks are training networks themselves: the training run that each training
        network belongs to, (n,). Each network is then compared only with networks of other training runs.
        None for other networks.
    rows
        The positions of the k networks among the training networks; only used with ``trajectories``.

    Returns
    -------
    A row for every network: its scores (`Task.scores`); ``max_iou`` and ``mean_iou``, the largest and mean
    wrong-set IoU with training networks; ``similar``, the training network with the largest IoU;
    ``disagreement``, the mean share of items on which its choice differs from that of a training network; the
    divergence from ``similar``, which is ``jensen_shannon`` (nats, mean over items) for classes and
    ``mean_absolute_difference`` (in the target's own unit) for numbers; and the measures that only need
    predictions (`Measure.function`).
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


def accuracies_by_class(networks: Outputs, mistakes: np.ndarray) -> pd.DataFrame:
    """Return how many of each class's test items networks classify correctly.

    Parameters
    ----------
    networks
        Whose predictions these are, n of them.
    mistakes
        (n, m) bool, which of the m items each is wrong about.

    Returns
    -------
    A row for each network and class that occurs: ``network``, ``class``, by its name or else its number,
    ``examples``, the items of this class, and ``accuracy``. None where numbers are predicted.
    """
    columns = ["network", "class", "examples", "accuracy"]
    if networks.task != "classification":
        return pd.DataFrame(columns=columns)
    found, counts = np.unique(networks.targets, return_counts=True)
    names = networks.classes[found] if len(networks.classes) else found.astype(str)
    n, accuracies = len(networks), class_accuracies(mistakes, networks.targets)
    values = np.repeat(networks.names, len(found)), np.tile(names, n), np.tile(counts, n), accuracies.ravel()
    return pd.DataFrame(dict(zip(columns, values, strict=True)))
