"""Products of spheres and a Euclidean part."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dwf_steps.geometry import sphere
from dwf_steps.geometry.manifold import Manifold

NEARLY = 0.999  # points whose cosine exceeds this in magnitude count as nearly equal or opposite


@dataclass(frozen=True)
class Spheres:
    """Spheres over consecutive columns of a row.

    Attributes
    ----------
    start
        The first column of the first sphere.
    count
        The number of spheres.
    size
        Columns of each sphere.
    """

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
    """Spheres over some columns, with radius sqrt(size), and all other columns Euclidean.

    With these radii every coordinate has mean square 1, so that all weights contribute alike to distances.

    Parameters
    ----------
    spheres
        In any order; no two share a column.
    """

    flat = False

    def __init__(self, spheres: Sequence[Spheres]) -> None:
        self.spheres = list(spheres)

    def project(self, x: Tensor) -> Tensor:
        """Return the nearest points of the manifold, (n, d)."""
        return self._each(lambda s, part: sphere.project(part) * s.radius, x.clone(), x)

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the parts of ``v`` that are tangent to the manifold at ``x``, (n, d)."""
        return self._each(lambda s, p, w: sphere.tangent(p / s.radius, w), v.clone(), x, v)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the ends (n, d) of geodesics from ``x`` with initial velocities ``v``, after unit time."""
        return self._each(lambda s, p, w: sphere.exp(p / s.radius, w / s.radius) * s.radius, x + v, x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the shortest tangent vectors at ``x`` that `exp` maps to ``y``, (n, d)."""
        return self._each(lambda s, p, q: sphere.log(p / s.radius, q / s.radius) * s.radius, y - x, x, y)

    def geodesic(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """Return the points (n, d) of the geodesics from ``x`` to ``y`` at times ``t`` (n, 1)."""
        return self.path(x, y, t)[0]

    def path(self, x: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return points and velocities of the geodesics from ``x`` to ``y`` at times ``t`` (n, 1).

        Spherical linear interpolation (Shoemake 1985), in one pass over memory for each inner product and
        each result. It loses precision for nearly equal and nearly opposite points, which `sphere.log`
        handles instead.
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
        """Move points along geodesics by the tangent part of sigma e, and project the velocities there."""
        if not sigma:
            return points, velocities
        points = self.exp(points, self.tangent(points, noise * sigma))
        return points, self.tangent(points, velocities)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the lengths of the shortest geodesics, (n,)."""
        return self.log(x, y).norm(dim=1)

    def squared_distances(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the squared distances between all pairs of points, (a, b)."""
        flat = self.euclidean(x.shape[1])
        total = torch.cdist(x[:, flat], y[:, flat]).square()
        for s in self.spheres:
            a, b = (z[:, s.columns].unflatten(1, (s.count, s.size)) / s.radius for z in (x, y))
            cosines = torch.einsum("asf,bsf->abs", a, b).clamp(-1, 1)
            total += s.radius**2 * cosines.acos().square().sum(-1)
        return total

    def uniform(self, noise: Tensor) -> Tensor:
        """Return points uniform on the spheres; ``noise`` (n, d) is unchanged in Euclidean columns."""
        return self.project(noise)

    def log_volume(self) -> float:
        """Return the logarithm of the product of the spheres' volumes.

        A sphere's volume is 2 pi^(size / 2) / Gamma(size / 2) radius^(size - 1).
        """
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
        """Return which of d columns are Euclidean, bool (d,)."""
        flat = torch.ones(d, dtype=torch.bool)
        for s in self.spheres:
            flat[s.columns] = False
        return flat

    def _each(self, of: Callable[..., Tensor], result: Tensor, *points: Tensor) -> Tensor:
        """Replace the columns of spheres in ``result``, the Euclidean answer, by what ``of`` returns."""
        for s in self.spheres:
            parts = (point[:, s.columns].unflatten(1, (s.count, s.size)) for point in points)
            result[:, s.columns] = of(s, *parts).flatten(1)
        return result
