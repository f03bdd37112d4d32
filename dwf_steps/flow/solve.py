"""Integrating the velocity field from source to target."""

import torch
from torch import Tensor
from torchdiffeq import odeint

from dwf_steps.config.generator import FlowSampling
from dwf_steps.flow.velocity import VelocityMLP


@torch.no_grad()
def integrate(velocity: VelocityMLP, x0: Tensor, sampling: FlowSampling) -> Tensor:
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

    def field(t: Tensor, x: Tensor) -> Tensor:
        return velocity(t.expand(len(x), 1), x)

    ends = torch.linspace(0, 1, 2, device=x0.device)
    if sampling.solver == "dopri5":
        return odeint(field, x0, ends, method="dopri5", rtol=sampling.rtol, atol=sampling.atol)[-1]
    grid = torch.linspace(0, 1, sampling.steps + 1, device=x0.device)
    options = {"grid_constructor": lambda *_: grid}
    return odeint(field, x0, ends, method=sampling.solver, options=options)[-1]
