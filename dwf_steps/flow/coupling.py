"""How source noise and target networks of a minibatch are paired."""

from typing import Literal

import torch
from torch import Tensor

from dwf_steps.geometry.euclidean import EUCLIDEAN
from dwf_steps.geometry.manifold import Manifold


def couple(
    x0: Tensor,
    x1: Tensor,
    coupling: Literal["independent", "ot"],
    manifold: Manifold = EUCLIDEAN,
) -> Tensor:
    """Return which row of ``x1`` (batch, k) each of ``x0`` (batch, k) is paired with, (batch,).

    ``ot`` minimises the total squared distance on the ``manifold``, exactly over the minibatch (Tong et al.
    2024, minibatch optimal transport); ``independent`` keeps the order drawn.
    """
    if coupling == "independent":
        return torch.arange(len(x1), device=x1.device)
    from scipy.optimize import linear_sum_assignment

    _, partners = linear_sum_assignment(manifold.squared_distances(x0, x1).numpy(force=True))
    return torch.from_numpy(partners).to(x1.device)
