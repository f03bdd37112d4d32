"""How source noise and target networks of a minibatch are paired."""

from typing import Literal

import torch
from torch import Tensor

from dwf_steps.geometry.product import ProductManifold


def couple(
    x0: Tensor,
    x1: Tensor,
    coupling: Literal["independent", "ot"],
    manifold: ProductManifold | None = None,
) -> Tensor:
    """Return ``x1`` (batch, k) reordered to its partners in ``x0`` (batch, k).

    ``ot`` minimises the total squared distance, Euclidean or the ``manifold``'s, exactly over the minibatch
    (Tong et al. 2024, minibatch optimal transport); ``independent`` keeps the order drawn.
    """
    if coupling == "independent":
        return x1
    from scipy.optimize import linear_sum_assignment

    cost = torch.cdist(x0, x1).square_() if manifold is None else manifold.squared_distances(x0, x1)
    _, partners = linear_sum_assignment(cost.numpy(force=True))
    return x1[torch.from_numpy(partners).to(x1.device)]
