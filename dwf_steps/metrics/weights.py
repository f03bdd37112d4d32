"""How networks lie among the training networks in weight space."""

import numpy as np
import pandas as pd

from dwf_steps.metrics.leave_one_out import max_squared_cosine, without_relatives
from dwf_steps.metrics.products import Products
from dwf_steps.metrics.sets import neighbourhood_radii
from dwf_steps.subspace.gram import distances_among


def weight_measures(products: Products, training_names: np.ndarray) -> pd.DataFrame:
    """Return one row a network: distance to the ``nearest`` training network, the share of it inside the
    training networks' affine span, and how much of it one of them explains."""
    distances = products.distances_to_training
    return pd.DataFrame(
        {
            "nn_distance": distances.min(axis=1),
            "nearest": training_names[distances.argmin(axis=1)],
            "span_share": products.share_in_span,
            "max_squared_cosine": products.max_squared_cosine,
        }
    )


def training_weight_measures(
    gram: np.ndarray,
    span_shares: np.ndarray,
    names: np.ndarray,
    trajectories: np.ndarray,
    rows: slice,
    neighbours: int,
) -> pd.DataFrame:
    """Return what `weight_measures` would say of some training networks, had each been left out with its
    trajectory; besides, the mean distance to the others, and the distance to the ``neighbours``-th nearest of
    them.

    Parameters
    ----------
    gram
        (n, n), training rows centred by their mean.
    span_shares
        (n,), their `share_in_span`.
    rows
        Which of them.
    """
    distances = distances_among(gram, rows)
    others = without_relatives(distances, trajectories, rows=rows)
    known = np.isfinite(others)
    return pd.DataFrame(
        {
            "nn_distance": others.min(axis=1),
            "nearest": names[others.argmin(axis=1)],
            "span_share": span_shares[rows],
            "max_squared_cosine": max_squared_cosine(gram, trajectories, rows),
            "mean_distance": distances.sum(axis=1, where=known) / known.sum(axis=1),
            "weights_radius": neighbourhood_radii(others, neighbours),
        }
    )
