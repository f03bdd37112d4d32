"""What flows ask of the space that they move in."""

from abc import ABC, abstractmethod

from torch import Tensor


class Manifold(ABC):
    """A Riemannian manifold of points (n, d), embedded in R^d; tangent vectors are (n, d) as well.

    Implementations: `Euclidean` and `ProductManifold`.

    Attributes
    ----------
    flat
        Whether geodesics are straight lines, so that solvers of ordinary differential equations in R^d apply.
    """

    flat: bool

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """Return the nearest points of the manifold, (n, d)."""

    @abstractmethod
    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Return ``v`` without its part normal to the manifold at ``x``, (n, d)."""

    @abstractmethod
    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the points that geodesics from ``x`` with tangent velocities ``v`` reach after one unit of
        time, (n, d)."""

    @abstractmethod
    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the shortest tangent vectors at ``x`` that `exp` takes to ``y``, (n, d)."""

    @abstractmethod
    def path(self, x: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return points and velocities, each (n, d), at times ``t`` (n, 1) of the geodesics from ``x`` to
        ``y``."""

    @abstractmethod
    def perturb(
        self, points: Tensor, velocities: Tensor, noise: Tensor, sigma: float
    ) -> tuple[Tensor, Tensor]:
        """Return what `path` returned, moved along the manifold by sigma times standard normal ``noise``
        (n, d). ``points`` may be overwritten."""

    @abstractmethod
    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the lengths of the shortest geodesics from ``x`` to ``y``, (n,)."""

    @abstractmethod
    def squared_distances(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the squared lengths of the shortest geodesics between all pairs of ``x`` (a, d) and ``y``
        (b, d), (a, b)."""

    @abstractmethod
    def uniform(self, noise: Tensor) -> Tensor:
        """Return points (n, d) uniform over the compact part from standard normal ``noise`` (n, d), which the
        Euclidean columns keep."""

    @abstractmethod
    def log_volume(self) -> float:
        """Return the logarithm of the volume of the compact part; 0 where there is none."""

    @abstractmethod
    def euclidean(self, d: int) -> Tensor:
        """Return which of d columns are Euclidean, (d,) bool."""
