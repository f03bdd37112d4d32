"""Log-densities under a flow, by the instantaneous change of variables."""

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from dwf_steps.config.generators.flow import Likelihood
from dwf_steps.flow.fields import LAST, VelocityField
from dwf_steps.flow.source import STANDARD, Source
from dwf_steps.runtime.progress import Progress
from dwf_steps.runtime.randomness import torch_generator

CHUNK_COORDINATES = 2**23  # of vector-Jacobian products, computed at a time


def log_density(
    field: VelocityField, points: Tensor, config: Likelihood, source: Source = STANDARD
) -> Tensor:
    """Compute log-densities of points under a flow.

    Each point is traced back from t = 1 to the source, and the field's divergence is integrated along its
    trajectory: log p1(x1) = log p0(x0) - integral of div v(t, x_t) dt (Chen et al. 2018, arXiv 1806.07366).
    The divergence is exact or Hutchinson's estimate (Grathwohl et al. 2019, arXiv 1810.01367). On a manifold
    it is the Riemannian divergence, computed as the trace of the Jacobian of the field after projection,
    whose derivative normal to a sphere is zero; densities are with respect to the manifold's volume.

    The solver is torchdiffeq's ``rk4``, with ``config.steps`` steps. If the network predicts endpoints,
    trajectories begin ``LAST`` before t = 1, because velocities are not defined at t = 1.

    Parameters
    ----------
    field
        The flow's velocity field.
    points
        Points at t = 1, (n, k).
    config
        Number of steps, and how the divergence is computed.
    source
        The flow's source, on the field's manifold.

    Returns
    -------
    Log-densities in nats, (n,).

    Raises
    ------
    InputError
        If the source has no density.
    """
    # Imported here because it imports scipy.integrate, which takes half a second.
    from torchdiffeq import odeint

    first = 1.0 if field.prediction == "velocity" else 1 - LAST
    grid = torch.linspace(first, 0, config.steps + 1, device=points.device)
    probes = _probes(config, points)
    with Progress("evaluation", 4 * config.steps) as report:

        def dynamics(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            report.advance()
            return velocity_and_divergence(field, t, state[0], probes)

        state = (points, torch.zeros(len(points), device=points.device, dtype=points.dtype))
        start, change = (
            path[-1]
            for path in odeint(
                dynamics, state, grid[[0, -1]], method="rk4", options={"grid_constructor": lambda *_: grid}
            )
        )
    return source.log_density(start) + change


def velocity_and_divergence(
    field: VelocityField, t: Tensor, x: Tensor, probes: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute velocities and their divergences.

    The divergence is the sum of e'(dv/dx)e over the probes e. Neither result is differentiable.

    Parameters
    ----------
    field
        The velocity field.
    t
        A time in [0, 1], ().
    x
        Points, (n, k).
    probes
        Probes e for all points, (p, 1, k), or for each, (p, n, k).

    Returns
    -------
    Velocities (n, k) and divergences (n,).
    """
    n, k = x.shape
    # The derivatives of fused attention do not support batched gradients.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        place = field.manifold.project(x.detach()).requires_grad_()
        velocity = field(t.expand(n, 1), field.manifold.project(place))
        divergence = torch.zeros(n, device=x.device, dtype=x.dtype)
        for some in probes.split(max(1, CHUNK_COORDINATES // (n * k))):
            along = some.expand(-1, n, -1)
            (gradients,) = torch.autograd.grad(
                velocity, place, along, is_grads_batched=True, retain_graph=True
            )
            divergence += torch.einsum("pnk,pnk->n", gradients, along)
    return velocity.detach(), divergence


def _probes(config: Likelihood, points: Tensor) -> Tensor:
    """Return the axes (k, 1, k), or random signs divided by sqrt(p), (p, n, k)."""
    n, k = points.shape
    if config.divergence == "exact":
        return torch.eye(k, device=points.device, dtype=points.dtype).unsqueeze(1)
    draws = torch_generator("likelihood", config.seed)
    signs = torch.randint(0, 2, (config.probes, n, k), generator=draws).to(points) * 2 - 1
    return signs / config.probes**0.5
