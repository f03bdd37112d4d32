"""Products of spheres and a Euclidean part over the columns of a row of weights."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dwf_steps.geometry import sphere
from dwf_steps.geometry.manifold import Manifold

NEARLY = 0.999  # the cosine from which on points count as nearly equal, or opposite


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


class ProductManifold(Manifold):
    """Points (n, d), tangent vectors (n, d): spheres of radius sqrt(size), all other columns Euclidean.

    With these radii every coordinate has a mean square of 1, so that a distance counts all weights alike.

    Parameters
    ----------
    spheres
        In any order; they share no columns.
    """

    flat = False

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

    def geodesic(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """Return the points at times ``t`` (n, 1) of the geodesics from ``x`` to ``y``."""
        return self.path(x, y, t)[0]

    def path(self, x: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return points and velocities at times ``t`` (n, 1) of the geodesics from ``x`` to ``y``.

        In one pass over memory for each inner product and each result, by sines (Shoemake 1985); near equal
        and opposite points, where these lose their digits, by `sphere.log`.
        """
        points, velocities = torch.lerp(x, y, t), y - x
        for s in self.spheres:
            a, b, point, velocity = (
                part[:, s.columns].unflatten(1, (s.count, s.size)) for part in (x, y, points, velocities)
            )
            cosine = torch.einsum("nsk,nsk->ns", a, b).unsqueeze(-1) / s.size
            angle, time = cosine.clamp(-1, 1).acos(), t.unsqueeze(-1)
            scale = 1 / angle.sin()
            torch.mul(a, ((1 - time) * angle).sin() * scale, out=point)
            point.addcmul_(b, (time * angle).sin() * scale)
            torch.mul(a, -angle * ((1 - time) * angle).cos() * scale, out=velocity)
            velocity.addcmul_(b, angle * (time * angle).cos() * scale)
            rows, which = (cosine.squeeze(-1).abs() > NEARLY).nonzero(as_tuple=True)
            if len(rows):
                start, end = a[rows, which] / s.radius, b[rows, which] / s.radius
                displacement = sphere.log(start, end)
                point[rows, which] = sphere.exp(start, t[rows] * displacement) * s.radius
                velocity[rows, which] = sphere.carry(start, displacement, t[rows]) * s.radius
        return points, velocities

    def perturb(
        self, points: Tensor, velocities: Tensor, noise: Tensor, sigma: float
    ) -> tuple[Tensor, Tensor]:
        """Return the points that geodesics along the tangent part of sigma e reach, and the velocities' parts
        tangent there."""
        if not sigma:
            return points, velocities
        points = self.exp(points, self.tangent(points, noise * sigma))
        return points, self.tangent(points, velocities)

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

    def log_volume(self) -> float:
        """Return the logarithm of the volume of all spheres together: each has
        2 pi^(size / 2) / Gamma(size / 2) radius^(size - 1)."""
        return sum(
            s.count
            * (
                math.log(2)
                + s.size / 2 * math.log(math.pi)
                - math.lgamma(s.size / 2)
                + (s.size - 1) * math.log(s.radius)
            )
            for s in self.spheres
        )

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
