"""The leading response functions of a layer over many networks, computed in one pass."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dwf_steps.runtime.randomness import torch_generator

OVERSAMPLING = 2
"""Columns of a sketch per function that is kept (Tropp et al. 2017 recommend at least 2)."""
EXTRA = 10


def test_matrix(rows: int, functions: int, layer: str, seed: int) -> Tensor:
    """Draw the test matrix of a sketch.

    Parameters
    ----------
    rows
        The number of responses of each unit.
    functions
        The largest number of functions that will be kept.
    layer, seed
        Determine the draws.

    Returns
    -------
    Orthonormal columns, float64 (rows, s) with s = `OVERSAMPLING` * functions + `EXTRA`, but at most
    ``rows``; the sketch is then exact.
    """
    size = min(rows, OVERSAMPLING * functions + EXTRA)
    draws = torch_generator(f"sketch of {layer}", seed)
    gaussian = torch.randn(rows, size, dtype=torch.float64, generator=draws)
    return torch.linalg.qr(gaussian)[0]


@dataclass
class Sketch:
    """The product Y = G Q of a Gram matrix with a test matrix Q.

    G = sum over networks of Z Z' with responses Z (rows, units). Memory does not depend on the number of
    networks, and sketches of different networks can be added.

    Attributes
    ----------
    products
        Y, (rows, s).
    """

    products: Tensor

    def add(self, responses: Tensor, test: Tensor) -> None:
        """Add the responses (n, rows, units) of networks, given the test matrix Q."""
        side_by_side = responses.double().transpose(0, 1).flatten(1)
        self.products += side_by_side @ (side_by_side.T @ test)

    def leading(self, test: Tensor, functions: int) -> Tensor:
        """Return the leading eigenvectors of G, (rows, r).

        Computed from the sketch alone by the Nystrom approximation G ~ Y (Q'Y)^-1 Y' (Tropp, Yurtsever, Udell
        & Cevher 2017, "Fixed-rank approximation of a positive-semidefinite matrix from streaming data",
        algorithm 3).

        Parameters
        ----------
        test
            The test matrix Q, (rows, s).
        functions
            The largest number of eigenvectors; there are fewer if G has a lower rank.
        """
        epsilon = torch.finfo(torch.float64).eps
        core = test.T @ self.products
        values, vectors = torch.linalg.eigh((core + core.T) / 2)
        shift = len(values) * epsilon * values.clamp(min=0).amax()
        known = values > shift
        root = self.products @ (vectors[:, known] / values[known].sqrt())
        functions_found, singular, _ = torch.linalg.svd(root, full_matrices=False)
        squares = singular.square()
        rank = int((squares > len(values) * epsilon * squares.amax()).sum()) if len(squares) else 0
        return functions_found[:, : min(functions, rank)].contiguous()
