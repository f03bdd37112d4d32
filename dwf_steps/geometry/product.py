"""Products of spheres and a Euclidean part over the columns of a row of weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dwf_steps.geometry import sphere


@dataclass(frozen=True)
class Spheres:
    """``count`` spheres, each over ``size`` consecutive columns, the first of which is ``start``."""

    start: int
    count: int
    size: int

    @property
    def columns(self) -> slice:
        return slice(self.start, self.start + self.count * self.size)

    @property
    def radius(self) -> float:
        """The radius at which coordinates have a mean square of 1."""
        return float(self.size) ** 0.5


class ProductManifold:
    """Points (n, d), tangent vectors (n, d): spheres of radius sqrt(size), all other columns Euclidean.

    With these radii every coordinate has a mean square of 1, so that a distance counts all weights alike.

    Parameters
    ----------
    spheres
        In any order; they share no columns.
    """

    def __init__(self, spheres: Sequence[Spheres]) -> None:
        self.spheres = list(spheres)

    def project(self, x: Tensor) -> Tensor:
        """Return the nearest points of the manifold."""
        return self._each(lambda s, part: sphere.project(part) * s.radius, x.clone(), x)

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Return ``v`` without what leads away from the manifold at ``x``."""
        return self._each(lambda s, p, w: sphere.tangent(p / s.radius, w), v.clone(), x, v)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Return where geodesics from ``x`` with tangent velocities ``v`` are after one unit of time."""
        return self._each(lambda s, p, w: sphere.exp(p / s.radius, w / s.radius) * s.radius, x + v, x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the shortest tangent vectors at ``x`` that `exp` takes to ``y``."""
        return self._each(lambda s, p, q: sphere.log(p / s.radius, q / s.radius) * s.radius, y - x, x, y)

    def carry(self, x: Tensor, v: Tensor, t: Tensor) -> Tensor:
        """Return the velocities at times ``t`` (n, 1) of the geodesics from ``x`` with velocities ``v``."""
        times = t.unsqueeze(-1)
        return self._each(
            lambda s, p, w: sphere.carry(p / s.radius, w / s.radius, times) * s.radius, v.clone(), x, v
        )

    def geodesic(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """Return the points at times ``t`` (n, 1) of the geodesics from ``x`` to ``y``."""
        return self.exp(x, t * self.log(x, y))

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the lengths of the shortest geodesics, (n,)."""
        return self.log(x, y).norm(dim=1)

    def squared_distances(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the squared distances of all pairs, (a, b)."""
        flat = self.euclidean(x.shape[1])
        total = torch.cdist(x[:, flat], y[:, flat]).square()
        for s in self.spheres:
            a, b = (z[:, s.columns].unflatten(1, (s.count, s.size)) / s.radius for z in (x, y))
            cosines = torch.einsum("asf,bsf->abs", a, b).clamp(-1, 1)
            total += s.radius**2 * cosines.acos().square().sum(-1)
        return total

    def uniform(self, noise: Tensor) -> Tensor:
        """Return points uniform on the spheres from standard normal ``noise`` (n, d), which stays what it is
        in the Euclidean part."""
        return self.project(noise)

    def euclidean(self, d: int) -> Tensor:
        """Return which of d columns are Euclidean, (d,) bool."""
        flat = torch.ones(d, dtype=torch.bool)
        for s in self.spheres:
            flat[s.columns] = False
        return flat

    def _each(self, of: Callable[..., Tensor], result: Tensor, *points: Tensor) -> Tensor:
        """Return ``result``, the Euclidean answer, with the columns of spheres replaced by theirs."""
        for s in self.spheres:
            parts = (point[:, s.columns].unflatten(1, (s.count, s.size)) for point in points)
            result[:, s.columns] = of(s, *parts).flatten(1)
        return result
