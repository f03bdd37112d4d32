"""The interface of the spaces that flows are defined on."""

from abc import ABC, abstractmethod

from torch import Tensor


class Manifold(ABC):
    """A Riemannian manifold, embedded in R^d: points and tangent vectors are both (n, d).

    Implementations: `Euclidean` and `ProductManifold`.

    Attributes
    ----------
    flat
        Whether geodesics are straight lines, so that ODE solvers for R^d apply.
    """

    flat: bool

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """Return the nearest points of the manifold, (n, d)."""

    @abstractmethod
    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the parts of ``v`` that are tangent to the manifold at ``x``, (n, d)."""

    @abstractmethod
    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the ends (n, d) of geodesics from ``x`` with initial velocities ``v``, after unit time."""

    @abstractmethod
    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the shortest tangent vectors at ``x`` that `exp` maps to ``y``, (n, d)."""

    @abstractmethod
    def path(self, x: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Follow the geodesics from ``x`` to ``y``.

        Parameters
        ----------
        x, y
            Starts and ends, (n, d).
        t
            Times between 0 and 1, (n, 1).

        Returns
        -------
        Points and velocities at these times, each (n, d).
        """

    @abstractmethod
    def perturb(
        self, points: Tensor, velocities: Tensor, noise: Tensor, sigma: float
    ) -> tuple[Tensor, Tensor]:
        """Move the points of a path along the manifold by Gaussian noise.

        Parameters
        ----------
        points, velocities
            Those that `path` returned, (n, d); may be overwritten.
        noise
            Standard normal, (n, d).
        sigma
            Standard deviation of the displacement.

        Returns
        -------
        The moved points and their velocities, each (n, d).
        """

    @abstractmethod
    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the lengths of the shortest geodesics from ``x`` to ``y``, (n,)."""

    @abstractmethod
    def squared_distances(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the squared lengths of the shortest geodesics between all pairs of points.

        Parameters
        ----------
        x, y
            Points (a, d) and (b, d).

        Returns
        -------
        Squared distances, (a, b).
        """

    @abstractmethod
    def uniform(self, noise: Tensor) -> Tensor:
        """Return random points (n, d), uniform in the compact part, standard normal in the Euclidean part.

        Parameters
        ----------
        noise
            Standard normal, (n, d).
        """

    @abstractmethod
    def log_volume(self) -> float:
        """Return the logarithm of the volume of the compact part; 0 if there is none."""

    @abstractmethod
    def euclidean(self, d: int) -> Tensor:
        """Return which of d columns are Euclidean, bool (d,)."""
