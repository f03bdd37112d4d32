"""The leading response functions of a layer over many networks, found in one pass."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dwf_steps.runtime.randomness import torch_generator

OVERSAMPLING = 2
"""Columns of a sketch for each function that is kept (Tropp et al. 2017 recommend at least this)."""
EXTRA = 10


def test_matrix(rows: int, functions: int, layer: str, seed: int) -> Tensor:
    """Return the orthonormal test matrix (rows, s) of a sketch, float64; square where ``s`` would reach
    ``rows``, so that nothing is lost."""
    size = min(rows, OVERSAMPLING * functions + EXTRA)
    draws = torch_generator(f"sketch of {layer}", seed)
    gaussian = torch.randn(rows, size, dtype=torch.float64, generator=draws)
    return torch.linalg.qr(gaussian)[0]


@dataclass
class Sketch:
    """The product Y = G Q (rows, s) of the Gram matrix G = sum over networks of Z Z' with a test matrix Q, of
    responses Z (rows, units).

    Memory is ``rows * s`` whatever the number of networks, and sketches of different networks add up.
    """

    products: Tensor

    def add(self, responses: Tensor, test: Tensor) -> None:
        """Add the responses (n, rows, units) of some networks."""
        side_by_side = responses.double().transpose(0, 1).flatten(1)
        self.products += side_by_side @ (side_by_side.T @ test)

    def leading(self, test: Tensor, functions: int) -> Tensor:
        """Return the leading eigenvectors of G (rows, r), r at most ``functions`` and at most G's rank.

        By the Nystrom approximation G ~ Y (Q'Y)^-1 Y', from the sketch alone (Tropp, Yurtsever, Udell &
        Cevher 2017, "Fixed-rank approximation of a positive-semidefinite matrix from streaming data",
        algorithm 3).
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
