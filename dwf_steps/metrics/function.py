"""How networks compare with the training networks by what they say about the test set."""

import numpy as np
import pandas as pd

from dwf_steps.metrics.classification import brier, expected_calibration_error, nll, wrong
from dwf_steps.metrics.leave_one_out import without_themselves
from dwf_steps.metrics.novelty import wrong_set_iou
from dwf_steps.metrics.similarity import disagreement, paired_jensen_shannon
from dwf_steps.storage.outputs import Outputs


def function_measures(networks: Outputs, training: Outputs, rows: slice | None = None) -> pd.DataFrame:
    """Return one row a network: how good it is, and how close to the training networks.

    ``max_iou`` and ``mean_iou`` are over all training networks, ``similar`` is the one with the largest
    wrong-set IoU, ``jensen_shannon`` (nats) the mean divergence from it over the test items, and
    ``disagreement`` the mean share of items on which a training network says another class.

    Parameters
    ----------
    rows
        Which training networks these networks are themselves, if any: each is left out of its own comparison.
    """
    mistakes = wrong(networks.log_probabilities, networks.targets)
    overlap = wrong_set_iou(mistakes, wrong(training.log_probabilities, training.targets))
    apart = disagreement(
        networks.log_probabilities.argmax(axis=-1),
        training.log_probabilities.argmax(axis=-1),
        networks.log_probabilities.shape[-1],
    )
    if rows is not None:
        overlap, apart = (without_themselves(values, np.nan, rows) for values in (overlap, apart))
    similar = np.nanargmax(overlap, axis=1)
    return pd.DataFrame(
        {
            "accuracy": (~mistakes).mean(axis=1),
            "loss": nll(networks.log_probabilities, networks.targets),
            "brier": brier(networks.log_probabilities, networks.targets),
            "calibration_error": expected_calibration_error(networks.log_probabilities, networks.targets),
            "max_iou": np.nanmax(overlap, axis=1),
            "mean_iou": np.nanmean(overlap, axis=1),
            "similar": training.names[similar],
            "disagreement": np.nanmean(apart, axis=1),
            "jensen_shannon": paired_jensen_shannon(
                networks.log_probabilities, training.log_probabilities[similar]
            ),
        },
        index=pd.Index(networks.names, name="network"),
    )
