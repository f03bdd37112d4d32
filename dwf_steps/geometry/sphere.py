"""The unit sphere: points and tangent vectors (..., k), any number at once.

Formulas as in Absil, Mahony & Sepulchre 2008, with differences y - x in place of inner products, which would
lose all digits of small angles.
"""

import torch
from torch import Tensor

TINY = 1e-30  # keeps quotients finite where both parts are zero


def project(x: Tensor) -> Tensor:
    """Return the nearest points of the sphere; zero goes to the first axis."""
    norms = x.norm(dim=-1, keepdim=True)
    first = torch.zeros_like(x)
    first[..., 0] = 1
    return torch.where(norms > 0, x / norms.clamp(min=TINY), first)


def tangent(x: Tensor, v: Tensor) -> Tensor:
    """Return ``v`` without its part along ``x``."""
    return v - (x * v).sum(-1, keepdim=True) * x


def exp(x: Tensor, v: Tensor) -> Tensor:
    """Return where a geodesic from ``x`` with the tangent velocity ``v`` is after one unit of time."""
    angle = v.norm(dim=-1, keepdim=True)
    return project(angle.cos() * x + torch.sinc(angle / torch.pi) * v)


def carry(x: Tensor, v: Tensor, t: Tensor) -> Tensor:
    """Return the velocity at time ``t`` of the geodesic from ``x`` with the velocity ``v``: its parallel
    transport."""
    angle = v.norm(dim=-1, keepdim=True)
    return (t * angle).cos() * v - angle * (t * angle).sin() * x


def log(x: Tensor, y: Tensor) -> Tensor:
    """Return the tangent vector at ``x`` that `exp` takes to ``y``, the shortest; at the antipode, where all
    directions are as short, one of them."""
    across = tangent(x, y - x)
    sine = across.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (x * y).sum(-1, keepdim=True))
    known = sine > 4 * torch.finfo(x.dtype).eps  # below, the direction is that of rounding errors
    return torch.where(known, across / sine.clamp(min=TINY), _any_direction(x)) * angle


def angle(x: Tensor, y: Tensor) -> Tensor:
    """Return the length of the shortest geodesic, (...)."""
    return torch.atan2(tangent(x, y - x).norm(dim=-1), (x * y).sum(-1))


def _any_direction(x: Tensor) -> Tensor:
    """Return a unit tangent vector, along the axis that is furthest from ``x``; none on a sphere of two
    points."""
    axis = torch.zeros_like(x).scatter_(-1, x.abs().argmin(-1, keepdim=True), 1.0)
    across = tangent(x, axis)
    return across / across.norm(dim=-1, keepdim=True).clamp(min=TINY)
