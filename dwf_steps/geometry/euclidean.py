"""Euclidean space as a manifold."""

import torch
from torch import Tensor

from dwf_steps.geometry.manifold import Manifold


class Euclidean(Manifold):
    """R^d: every point is on it, every vector is tangent, and geodesics are straight lines."""

    flat = True

    def project(self, x: Tensor) -> Tensor:
        return x

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:  # noqa: ARG002
        return v

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        return x + v

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        return y - x

    def path(self, x: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return (1 - t) x + t y and y - x (Lipman et al. 2023, arXiv 2210.02747)."""
        return torch.lerp(x, y, t), y - x

    def perturb(
        self, points: Tensor, velocities: Tensor, noise: Tensor, sigma: float
    ) -> tuple[Tensor, Tensor]:
        """Add sigma e to the points in place, and keep the velocities (Tong et al. 2024, equation 15)."""
        return points.add_(noise, alpha=sigma), velocities

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        return (y - x).norm(dim=1)

    def squared_distances(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.cdist(x, y).square_()

    def uniform(self, noise: Tensor) -> Tensor:
        return noise

    def log_volume(self) -> float:
        return 0.0

    def euclidean(self, d: int) -> Tensor:
        return torch.ones(d, dtype=torch.bool)


EUCLIDEAN = Euclidean()
