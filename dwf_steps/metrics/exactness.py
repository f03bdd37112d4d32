"""What networks lose that are described by coordinates and made of these again."""

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
    """Return what k networks score on the test set before and after, and how alike both are, a row each.

    Parameters
    ----------
    own, decoded
        The networks, parameters (k, *shape), before and after.
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
    """Return the distances of k rows from expected ones, relative to the norms of these, (k,)."""
    expected = expected.double()
    return ((found.double() - expected).norm(dim=1) / expected.norm(dim=1)).cpu().numpy()
