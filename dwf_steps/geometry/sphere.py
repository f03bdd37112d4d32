"""The unit sphere in R^k, with points and tangent vectors (..., k).

The formulas are those of Absil, Mahony & Sepulchre 2008, but with differences y - x instead of inner
products, which have no correct digits for small angles.
"""

import torch
from torch import Tensor

TINY = 1e-30  # keeps quotients of two zeros finite


def project(x: Tensor) -> Tensor:
    """Return the nearest points of the sphere.

    Parameters
    ----------
    x
        Vectors, (..., k).

    Returns
    -------
    Unit vectors, (..., k); the first basis vector for zero.
    """
    norms = x.norm(dim=-1, keepdim=True)
    first = torch.zeros_like(x)
    first[..., 0] = 1
    return torch.where(norms > 0, x / norms.clamp(min=TINY), first)


def tangent(x: Tensor, v: Tensor) -> Tensor:
    """Return the parts of vectors that are tangent to the sphere.

    Parameters
    ----------
    x
        Points, (..., k).
    v
        Vectors, (..., k).

    Returns
    -------
    ``v`` without its component along ``x``, (..., k).
    """
    return v - (x * v).sum(-1, keepdim=True) * x


def exp(x: Tensor, v: Tensor) -> Tensor:
    """Return the ends of geodesics after unit time.

    Parameters
    ----------
    x
        Starting points, (..., k).
    v
        Initial tangent velocities, (..., k).

    Returns
    -------
    Points, (..., k).
    """
    angle = v.norm(dim=-1, keepdim=True)
    return project(angle.cos() * x + torch.sinc(angle / torch.pi) * v)


def carry(x: Tensor, v: Tensor, t: Tensor) -> Tensor:
    """Return the velocities of geodesics at a given time, the parallel transport of the initial ones.

    Parameters
    ----------
    x
        Starting points, (..., k).
    v
        Initial tangent velocities, (..., k).
    t
        Times, (..., 1).

    Returns
    -------
    Tangent vectors at the points reached, (..., k).
    """
    angle = v.norm(dim=-1, keepdim=True)
    return (t * angle).cos() * v - angle * (t * angle).sin() * x


def log(x: Tensor, y: Tensor) -> Tensor:
    """Return the shortest tangent vectors that `exp` maps to given points.

    Parameters
    ----------
    x
        Points to start from, (..., k).
    y
        Points to reach, (..., k).

    Returns
    -------
    Tangent vectors at ``x``, (..., k). At the antipode all directions are equally short; one is returned.
    """
    chord = y - x
    across = tangent(x, chord)
    # Near the antipode the chord is almost along x, and what rounding leaves of it has to be taken off again.
    steep = across.norm(dim=-1, keepdim=True) < 0.1 * chord.norm(dim=-1, keepdim=True)
    across = torch.where(steep, tangent(x, across), across)
    sine = across.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (x * y).sum(-1, keepdim=True))
    known = sine > 4 * torch.finfo(x.dtype).eps  # below, rounding errors determine the direction
    return torch.where(known, across / sine.clamp(min=TINY), _any_direction(x)) * angle


def angle(x: Tensor, y: Tensor) -> Tensor:
    """Return the lengths of the shortest geodesics between points.

    Parameters
    ----------
    x, y
        Points, (..., k).

    Returns
    -------
    Angles in radians, between 0 and pi, (...).
    """
    return torch.atan2(tangent(x, y - x).norm(dim=-1), (x * y).sum(-1))


def _any_direction(x: Tensor) -> Tensor:
    """Return unit tangent vectors along the axis that is furthest from ``x``; zero if k = 1."""
    axis = torch.zeros_like(x).scatter_(-1, x.abs().argmin(-1, keepdim=True), 1.0)
    across = tangent(x, axis)
    return across / across.norm(dim=-1, keepdim=True).clamp(min=TINY)
