"""Integrating the velocity field from source to target."""

import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from dwf_steps.config.generator import EVALUATIONS, FlowSampling
from dwf_steps.progress import Progress


@torch.no_grad()
def integrate(velocity: nn.Module, x0: Tensor, sampling: FlowSampling) -> Tensor:
    """Solve dx/dt = v(t, x) from t = 0 to 1 for all points at once.

    ``rk4`` is torchdiffeq's, the 3/8 rule (order 4, four evaluations a step); ``euler`` is of order 1;
    ``dopri5`` is the adaptive Dormand-Prince pair, its step chosen for all points together.

    Parameters
    ----------
    x0
        (n, k), draws of the source.

    Returns
    -------
    (n, k), the points at t = 1.
    """

    ends = torch.linspace(0, 1, 2, device=x0.device)
    adaptive = sampling.solver == "dopri5"
    total = None if adaptive else sampling.steps * EVALUATIONS[sampling.solver]
    with Progress("evaluation", total) as report:

        def field(t: Tensor, x: Tensor) -> Tensor:
            velocities = velocity(t.expand(len(x), 1), x)
            report.advance()
            return velocities

        if adaptive:
            return odeint(field, x0, ends, method="dopri5", rtol=sampling.rtol, atol=sampling.atol)[-1]
        grid = torch.linspace(0, 1, sampling.steps + 1, device=x0.device)
        options = {"grid_constructor": lambda *_: grid}
        return odeint(field, x0, ends, method=sampling.solver, options=options)[-1]
