"""How flows are sampled: solver, condition, and guidance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from dwf_steps.config.generators.base import Draws, NotNegative, Positive
from dwf_steps.config.section import CALLABLE_PATTERN, Name, Section


class Guidance(Section):
    """Steers a flow towards networks that do well: the velocity minus ``scale`` times the gradient of their
    loss on training examples."""

    scale: Positive = 0.1
    """Factor of the gradient, lambda."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Training examples that every evaluation of the field draws again, the same for all networks."""
    transfer: Name | None = None
    """The transfer whose data set's training examples they are, for networks of another data set; by default
    the zoo's own."""
    objective: Annotated[str, Field(pattern=CALLABLE_PATTERN)] | None = None
    """A loss of your own, `package.module:function`, of outputs (n, b, c) and targets (b,), that returns
    (n,); by default the task's."""


class FlowSampling(Draws):
    """How the flow's ODE is integrated from t = 0 to t = 1."""

    solver: Literal["euler", "rk4", "dopri5"] = "rk4"
    """Solver (torchdiffeq): `rk4` is the 3/8 rule; `dopri5` adapts its steps."""
    steps: Annotated[int, Field(ge=1)] = 100
    """Steps of the fixed-step solvers."""
    guidance: Guidance | None = None
    """Steering by the networks' loss, if any."""
    temperature: Positive = 1.0
    """Factor of the source's standard deviation when sampling: below 1 samples are more typical."""
    condition: Literal["best", "training"] | Annotated[float, Field(strict=True)] = "best"
    """Of flows with a `condition`: the value that samples are asked for, that of the `best` training network
    (highest accuracy, lowest loss, last epoch), one drawn for each sample from all `training` networks', or a
    number: a share from 0 to 1 of accuracy, a loss, or epochs."""
    zoo: Name | None = None
    """Of flows whose `condition` is the zoo: the one whose networks are asked for; by default every zoo in
    turn."""
    condition_weight: NotNegative = 0.0
    """Weight w of classifier-free guidance: velocities are (1 + w) v(x | condition) - w v(x), which takes two
    evaluations; with 0 they are v(x | condition). Not to be confused with `guidance`, by gradients."""
    rtol: Positive = 1e-5
    """Relative tolerance of dopri5."""
    atol: Positive = 1e-5
    """Absolute tolerance of dopri5, in units of the target's standard deviation."""

    def zoos_asked(self, zoos: Sequence[str], rows: int) -> list[str]:
        """Return which of the ``zoos`` each of so many rows is asked for, candidates for a network alike."""
        turn = zoos if self.zoo is None else [self.zoo]
        return [turn[row // self.candidates % len(turn)] for row in range(rows)]
