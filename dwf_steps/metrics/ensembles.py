"""Ensembles: what networks say on average, and whether they notice inputs they have not learned."""

import numpy as np
import pandas as pd

from dwf_steps.config.evaluation import EvaluationConfig
from dwf_steps.metrics.classification import accuracy, brier, entropy, expected_calibration_error, nll
from dwf_steps.metrics.uncertainty import auroc
from dwf_steps.randomness import numpy_generator
from dwf_steps.storage.outputs import LOWEST, Outputs


def ensemble_measures(outputs: Outputs, evaluation: EvaluationConfig) -> pd.DataFrame:
    """Return one row a size: the mean over random ensembles of accuracy, loss (nats), Brier score,
    calibration error and ``auroc``, and the standard deviation of the accuracy.

    An ensemble's probabilities are the mean of its members' (Lakshminarayanan et al. 2017). ``auroc`` is of
    telling test items from shifted inputs by the entropy of the mean prediction; NaN where there are none.
    All networks together are one ensemble only, however many ``draws`` are asked for.
    """
    generator, rows = numpy_generator("ensembles", evaluation.seed), []
    for size in [size for size in evaluation.ensembles if size <= len(outputs)]:
        repeats = 1 if size == len(outputs) else evaluation.draws
        chosen = [generator.permutation(len(outputs))[:size] for _ in range(repeats)]
        inside = np.stack([_mixture(outputs.log_probabilities, members) for members in chosen])
        scores = {
            "accuracy": accuracy(inside, outputs.targets),
            "loss": nll(inside, outputs.targets),
            "brier": brier(inside, outputs.targets),
            "calibration_error": expected_calibration_error(inside, outputs.targets),
        }
        if outputs.shifted.shape[1]:
            outside = np.stack([_mixture(outputs.shifted, members) for members in chosen])
            scores["auroc"] = auroc(entropy(inside), entropy(outside))
        else:
            scores["auroc"] = np.full(repeats, np.nan)
        means = {name: float(np.mean(values)) for name, values in scores.items()}
        spread = float(np.std(scores["accuracy"], ddof=1)) if repeats > 1 else np.nan
        rows.append({"size": size, "draws": repeats} | means | {"accuracy_std": spread})
    return pd.DataFrame(rows)


def _mixture(log_probabilities: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return the log of the members' mean probabilities, (m, c) float32."""
    total = np.zeros(log_probabilities.shape[1:], np.float32)
    for member in members:
        total += np.exp(log_probabilities[member].astype(np.float32))
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(total / len(members)), LOWEST)
