"""Distances of networks to the training networks in weight space, and shares in their span."""

import numpy as np
import pandas as pd

from dwf_steps.metrics.leave_one_out import max_squared_cosine, without_relatives
from dwf_steps.metrics.products import Products
from dwf_steps.metrics.sets import neighbourhood_radii
from dwf_steps.subspace.gram import distances_among


def weight_measures(products: Products, training_names: np.ndarray) -> pd.DataFrame:
    """Compare generated networks with the training networks in weight space.

    Parameters
    ----------
    products
        Inner products of k generated and n training networks.
    training_names
        Names of the training networks, (n,).

    Returns
    -------
    A row for every generated network: ``nn_distance`` to the ``nearest`` training network, ``span_share``
    (`Products.share_in_span`) and ``max_squared_cosine`` with a training network.
    """
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
    """Compare training networks with those of other training runs, as `weight_measures` does generated ones.

    Parameters
    ----------
    gram
        Gram matrix of the training networks, (n, n), centred by their mean.
    span_shares
        Their `leave_one_out.share_in_span`, (n,).
    names
        Their names, (n,).
    trajectories
        Their training runs, (n,).
    rows
        The training networks to return.
    neighbours
        For ``weights_radius``.

    Returns
    -------
    A row for each of the networks: the columns of `weight_measures`, then ``mean_distance`` to training
    networks of other training runs, and ``weights_radius``, the distance to the ``neighbours``-th nearest of
    them.
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
