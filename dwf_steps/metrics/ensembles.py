"""Ensembles: scores of mean predictions, and detection of inputs from outside the data's distribution."""

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
    """Score random ensembles of networks, for every size in the configuration.

    An ensemble predicts the mean of its members' predictions; for classes, that of their probabilities. If
    all networks form the ensemble, it is scored only once.

    Parameters
    ----------
    outputs
        Predictions of the n networks.
    evaluation
        Ensemble sizes, the number of random ensembles per size, and the seed.
    trajectories
        The training run that each network is a checkpoint of, (n,): an ensemble then has at most one
        checkpoint of each. None if all networks were trained independently.

    Returns
    -------
    A row for every size that there are enough networks for: means over ensembles of all scores
    (`Task.scores`) and of ``auroc``, and the standard deviation of the accuracy, ``accuracy_std``. ``auroc``
    is that of detecting shifted inputs by the entropy of the mean prediction; NaN if there are none.
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
    """Return the networks in the given order, keeping only the first of each trajectory."""
    return order[np.sort(np.unique(trajectories[order], return_index=True)[1])]
