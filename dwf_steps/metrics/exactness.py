"""Reconstruction errors of networks that were encoded and decoded again."""

import numpy as np
import pandas as pd
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.novelty import wrong_set_iou
from dwf_steps.metrics.scores import predictions_of
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks import task_of


def functions_compared(
    architecture: Architecture, own: StackedNetworks[Tensor], decoded: StackedNetworks[Tensor], test: Split
) -> pd.DataFrame:
    """Compare the predictions of k networks with those of their reconstructions.

    Parameters
    ----------
    architecture
        That of all networks.
    own, decoded
        The networks and their reconstructions, with parameters (k, *shape).
    test
        The test set.

    Returns
    -------
    A row for every network: ``metric``, the name of the score (Spearman's rank correlation for numbers, else
    accuracy); ``trained`` and ``decoded``, the score before and after; ``agreement``, the share of test items
    on which both make the same choice (`Task.choices`); and ``iou``, the IoU of their wrong sets.
    """
    task = task_of(test.task, test.tolerance, test.scale)
    predictions = [predictions_of(architecture, networks, test.inputs, task) for networks in (own, decoded)]
    scores = [task.scores(some, test.targets) for some in predictions]
    metric = "spearman" if "spearman" in scores[0] else "accuracy"
    before, after = (task.choices(some) for some in predictions)
    mistakes = [task.wrong(some, test.targets) for some in predictions]
    overlaps = [wrong_set_iou(one[None], other[None]).item() for one, other in zip(*mistakes, strict=True)]
    return pd.DataFrame(
        {
            "metric": metric,
            "trained": scores[0][metric],
            "decoded": scores[1][metric],
            "agreement": (before == after).mean(axis=1),
            "iou": overlaps,
        }
    )


def relative_distances(found: Tensor, expected: Tensor) -> np.ndarray:
    """Return the Euclidean distances of rows to expected ones, relative to the norms of the latter.

    Parameters
    ----------
    found, expected
        Weights or coordinates, (k, d).

    Returns
    -------
    Relative distances, float64 (k,).
    """
    expected = expected.double()
    return ((found.double() - expected).norm(dim=1) / expected.norm(dim=1)).cpu().numpy()
