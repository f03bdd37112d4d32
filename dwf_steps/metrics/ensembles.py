"""Ensembles: mean predictions of networks, and whether they notice inputs they have not learned."""

import numpy as np
import pandas as pd

from dwf_steps.config.evaluation import MeasurementConfig
from dwf_steps.metrics.uncertainty import auroc
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.outputs import Outputs
from dwf_steps.tasks import task_of
from dwf_steps.tasks.classification import entropy


def ensemble_measures(
    outputs: Outputs, evaluation: MeasurementConfig, trajectories: np.ndarray | None = None
) -> pd.DataFrame:
    """Return one row a size: the mean over random ensembles of their scores (`Task.scores`) and ``auroc``,
    and the standard deviation of the accuracy.

    An ensemble predicts the mean of its members' predictions, of classes that of their probabilities.
    ``auroc`` is of telling test items from shifted inputs by the entropy of the mean prediction; NaN where
    there are none. All networks together are one ensemble only, however many ``draws`` are asked for.

    Parameters
    ----------
    trajectories
        The trainings that the networks are checkpoints of, (n,), if they are: an ensemble has one of each at
        most.
    """
    generator, rows = numpy_generator("ensembles", evaluation.seed), []
    task = task_of(outputs.task, outputs.tolerance, outputs.scale)
    trajectories = np.arange(len(outputs)) if trajectories is None else trajectories
    for size in [size for size in evaluation.ensembles if size <= len(np.unique(trajectories))]:
        repeats = 1 if size == len(outputs) else evaluation.draws
        chosen = [
            _unrelated(generator.permutation(len(outputs)), trajectories)[:size] for _ in range(repeats)
        ]
        inside = np.stack([task.mixture(outputs.predictions[members]) for members in chosen])
        scores = task.scores(inside, outputs.targets)
        if outputs.shifted.shape[1]:
            outside = np.stack([task.mixture(outputs.shifted[members]) for members in chosen])
            scores["auroc"] = auroc(entropy(inside), entropy(outside))
        else:
            scores["auroc"] = np.full(repeats, np.nan)
        means = {name: float(np.mean(values)) for name, values in scores.items()}
        spread = float(np.std(scores["accuracy"], ddof=1)) if repeats > 1 else np.nan
        rows.append({"size": size, "draws": repeats} | means | {"accuracy_std": spread})
    return pd.DataFrame(rows)


def _unrelated(order: np.ndarray, trajectories: np.ndarray) -> np.ndarray:
    """Return the networks in an order, but only the first of each trajectory."""
    return order[np.sort(np.unique(trajectories[order], return_index=True)[1])]
