"""How flows are sampled: solver, condition and guidance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from dwf_steps.config.generators.base import Draws, NotNegative, Positive
from dwf_steps.config.section import CALLABLE_PATTERN, Name, Section


class Guidance(Section):
    """Steers a flow towards accurate networks.

    ``scale`` times the gradient of the networks' loss on training examples is subtracted from the velocity.
    """

    scale: Positive = 0.1
    """Factor lambda of the gradient."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Number of training examples, drawn at every evaluation of the velocity, the same for all networks."""
    transfer: Name | None = None
    """Transfer whose training examples are used, to steer towards networks for another data set; by default
    the examples are the zoo's."""
    objective: Annotated[str, Field(pattern=CALLABLE_PATTERN)] | None = None
    """A loss of your own, `package.module:function`, which maps outputs (n, b, c) and targets (b,) to losses
    (n,); by default the task's loss."""


class FlowSampling(Draws):
    """How the flow's ODE is integrated from t = 0 to t = 1."""

    solver: Literal["euler", "rk4", "dopri5"] = "rk4"
    """Solver (torchdiffeq): `rk4` is the 3/8 rule; `dopri5` has adaptive steps."""
    steps: Annotated[int, Field(ge=1)] = 100
    """Number of steps of the fixed-step solvers."""
    guidance: Guidance | None = None
    """Steering by the networks' loss, if set."""
    temperature: Positive = 1.0
    """Factor of the source's standard deviation in sampling; below 1 samples are less diverse."""
    condition: Literal["best", "training"] | Annotated[float, Field(strict=True)] = "best"
    """For flows with a `condition`, the requested value: that of the `best` training network (highest
    accuracy, lowest loss, last epoch), one drawn for each sample from those of all `training` networks, or a
    number: an accuracy from 0 to 1, a loss, or an epoch."""
    zoo: Name | None = None
    """For flows conditioned on the zoo, the requested zoo; by default all zoos in turn."""
    condition_weight: NotNegative = 0.0
    """Weight w of classifier-free guidance: the velocity is (1 + w) v(x | condition) - w v(x), which takes
    two evaluations; with 0 it is v(x | condition). Unrelated to `guidance`, which uses gradients."""
    rtol: Positive = 1e-5
    """Relative tolerance of dopri5."""
    atol: Positive = 1e-5
    """Absolute tolerance of dopri5, relative to the target's standard deviation."""

    def zoos_asked(self, zoos: Sequence[str], rows: int) -> list[str]:
        """Return the zoo requested for each row.

        Parameters
        ----------
        zoos
            Names of the joint zoo's members.
        rows
            Number of rows; candidates for the same network are adjacent and share a zoo.

        Returns
        -------
        One name per row.
        """
        turn = zoos if self.zoo is None else [self.zoo]
        return [turn[row // self.candidates % len(turn)] for row in range(rows)]
