"""Pairing of source points and target networks within a minibatch."""

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
    """Pair each source point of a minibatch with a target.

    Parameters
    ----------
    x0
        Source points, (b, k).
    x1
        Targets, (b, k).
    coupling
        ``ot`` minimises the total squared distance exactly over the minibatch (minibatch optimal transport,
        Tong et al. 2024, arXiv 2302.00482); ``independent`` keeps the order in which they were drawn.
    manifold
        Where distances are measured.

    Returns
    -------
    The row of ``x1`` that each row of ``x0`` is paired with, (b,).
    """
    if coupling == "independent":
        return torch.arange(len(x1), device=x1.device)
    from scipy.optimize import linear_sum_assignment

    _, partners = linear_sum_assignment(manifold.squared_distances(x0, x1).numpy(force=True))
    return torch.from_numpy(partners).to(x1.device)
