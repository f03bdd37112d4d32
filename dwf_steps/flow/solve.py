"""Integration of the velocity field from source to target."""

import torch
from torch import Tensor

from dwf_steps.config.generators.flow_sampling import FlowSampling
from dwf_steps.flow.fields import Field
from dwf_steps.geometry.euclidean import EUCLIDEAN
from dwf_steps.geometry.manifold import Manifold
from dwf_steps.runtime.progress import Progress

EVALUATIONS = {"euler": 1, "rk4": 4}  # of the velocity field per step


@torch.no_grad()
def integrate(
    velocity: Field,
    x0: Tensor,
    sampling: FlowSampling,
    manifold: Manifold = EUCLIDEAN,
) -> tuple[Tensor, int]:
    """Solve dx/dt = v(t, x) from t = 0 to 1 for all points together.

    ``rk4`` is torchdiffeq's 3/8 rule (order 4, four evaluations per step); ``euler`` has order 1; ``dopri5``
    is the adaptive Dormand-Prince pair, with one step size for all points. On a curved manifold, steps of
    ``euler`` follow geodesics, and no other solver is available.

    Parameters
    ----------
    velocity
        Maps times (n, 1) and points (n, k) to velocities (n, k).
    x0
        Draws from the source, (n, k).
    sampling
        The solver, its steps or tolerances.
    manifold
        The space of the points.

    Returns
    -------
    The points at t = 1, (n, k), and the number of evaluations of the velocity field.

    Raises
    ------
    ValueError
        If the solver does not apply to the manifold.
    """
    if not manifold.flat:
        if sampling.solver != "euler":
            raise ValueError(
                f"sampling.solver: found {sampling.solver!r}, but only 'euler' follows geodesics; use 'euler'"
            )
        return _follow(velocity, x0, sampling.steps, manifold), sampling.steps
    # Imported here because it imports scipy.integrate, which takes half a second.
    from torchdiffeq import odeint

    ends = torch.linspace(0, 1, 2, device=x0.device)
    adaptive = sampling.solver == "dopri5"
    total = None if adaptive else sampling.steps * EVALUATIONS[sampling.solver]
    evaluations = 0
    with Progress("evaluation", total) as report:

        def field(t: Tensor, x: Tensor) -> Tensor:
            nonlocal evaluations
            velocities = velocity(t.expand(len(x), 1), x)
            evaluations += 1
            report.advance()
            return velocities

        if adaptive:
            path = odeint(field, x0, ends, method="dopri5", rtol=sampling.rtol, atol=sampling.atol)
        else:
            grid = torch.linspace(0, 1, sampling.steps + 1, device=x0.device)
            options = {"grid_constructor": lambda *_: grid}
            path = odeint(field, x0, ends, method=sampling.solver, options=options)
    return path[-1], evaluations


def _follow(velocity: Field, x: Tensor, steps: int, manifold: Manifold) -> Tensor:
    """Take ``steps`` equal steps along geodesics."""
    with Progress("evaluation", steps) as report:
        for step in range(steps):
            t = torch.full((len(x), 1), step / steps, device=x.device)
            x = manifold.exp(x, velocity(t, x) / steps)
            report.advance()
    return x
