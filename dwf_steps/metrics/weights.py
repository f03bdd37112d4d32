"""How networks lie among the training networks in weight space."""

import numpy as np
import pandas as pd

from dwf_steps.metrics.leave_one_out import explained_by_one, share_in_span, without_diagonal
from dwf_steps.metrics.products import Products


def weight_measures(products: Products, training_names: np.ndarray) -> pd.DataFrame:
    """Return one row a network: distance to the ``nearest`` training network, the share of it inside the
    training networks' affine span, and how much of it one of them explains."""
    distances = products.distances_to_training
    return pd.DataFrame(
        {
            "nn_distance": distances.min(axis=1),
            "nearest": training_names[distances.argmin(axis=1)],
            "span_share": products.share_in_span,
            "explained_by_one": products.explained_by_one,
        }
    )


def training_weight_measures(gram: np.ndarray, distances: np.ndarray, names: np.ndarray) -> pd.DataFrame:
    """Return what `weight_measures` would say of each training network, had it been left out.

    Parameters
    ----------
    gram
        (n, n), training rows centred by their mean.
    distances
        (n, n) among them.
    """
    others = without_diagonal(distances)
    return pd.DataFrame(
        {
            "nn_distance": others.min(axis=1),
            "nearest": names[others.argmin(axis=1)],
            "span_share": share_in_span(gram),
            "explained_by_one": explained_by_one(gram),
        }
    )
