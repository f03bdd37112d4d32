"""Log-densities of a flow's points, by the instantaneous change of variables."""

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from dwf_steps.config.generators.flow import Likelihood
from dwf_steps.flow.fields import LAST, VelocityField
from dwf_steps.flow.source import STANDARD, Source
from dwf_steps.runtime.progress import Progress
from dwf_steps.runtime.randomness import torch_generator

CHUNK_COORDINATES = 2**23  # of gradients, computed at a time


def log_density(
    field: VelocityField, points: Tensor, config: Likelihood, source: Source = STANDARD
) -> Tensor:
    """Return the log-density of ``points`` (n, k) at the end of a flow, in nats, (n,).

    A point is followed back from t = 1 to the source, and the divergence of the field is integrated along its
    trajectory: log p1(x1) = log p0(x0) - integral of div v(t, x_t) dt (Chen et al. 2018, arXiv 1806.07366),
    the divergence being exact or Hutchinson's estimate (Grathwohl et al. 2019, arXiv 1810.01367). On a
    manifold the divergence is the Riemannian one, and densities are with respect to its volume. It is the
    trace of the derivative of the field after projection: the derivative across a sphere is then zero.

    Solved by torchdiffeq's ``rk4``, in ``config.steps`` steps. Where the network predicts endpoints,
    trajectories begin ``LAST`` before t = 1, at which these cannot be turned into velocities.

    Parameters
    ----------
    source
        Where the flow starts, on the field's manifold.

    Raises
    ------
    InputError
        If the source has no density.
    """
    # Imported here: it brings scipy.integrate, half a second that importing this need not pay.
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
    """Return velocities (n, k) at points ``x`` (n, k), and their divergences (n,): the sum of e'(dv/dx)e over
    ``probes`` e (p, n, k) or (p, 1, k).

    Not differentiable.
    """
    n, k = x.shape
    # The fused attention's derivatives have no rule for many directions at once.
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
    """Return all axes (k, 1, k), or so many random signs (p, n, k) that their mean square is 1 / p."""
    n, k = points.shape
    if config.divergence == "exact":
        return torch.eye(k, device=points.device, dtype=points.dtype).unsqueeze(1)
    draws = torch_generator("likelihood", config.seed)
    signs = torch.randint(0, 2, (config.probes, n, k), generator=draws).to(points) * 2 - 1
    return signs / config.probes**0.5
