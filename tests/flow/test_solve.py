"""Solvers reach closed-form solutions at their order."""

import math
from itertools import pairwise
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from dwf_steps.config.generators.flow_sampling import FlowSampling
from dwf_steps.config.generators.velocity import VelocityConfig
from dwf_steps.flow.solve import integrate
from dwf_steps.flow.velocity import VelocityMLP

RATE = -1.5


class Linear(nn.Module):
    """dx/dt = a x, with the solution x0 exp(a t)."""

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        assert t.shape == (len(x), 1)
        return RATE * x


class Wave(nn.Module):
    """dx/dt = x cos(3 t), with the solution x0 exp(sin(3 t) / 3)."""

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return x * torch.cos(3 * t)


class Logistic(nn.Module):
    """dx/dt = x (2 - x), with the solution 2 / (1 + (2 / x0 - 1) exp(-2 t))."""

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        assert t.shape == (len(x), 1)
        return x * (2 - x)


class Cubic(nn.Module):
    """dx/dt = 4 t^3, with the solution x0 + t^4."""

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return 4 * t.to(x) ** 3 + 0 * x


FIELDS = [(Linear(), math.exp(RATE)), (Wave(), math.exp(math.sin(3) / 3))]


def solve(field: nn.Module, x0: Tensor, **sampling: object) -> Tensor:
    return integrate(cast(VelocityMLP, field), x0, FlowSampling.model_validate(sampling))[0]


def start() -> Tensor:
    return torch.tensor([[1.0, -2.0], [0.5, 3.0], [4.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("rk4", 4)])
def test_halving_the_step_shows_the_order(solver: str, order: int) -> None:
    x0 = torch.tensor([[1.0], [0.5], [3.0]], dtype=torch.float64)
    exact = 2 / (1 + (2 / x0 - 1) * math.exp(-2))
    # Steps are powers of two, so that the float32 grid is exact.
    errors = [
        (solve(Logistic(), x0, solver=solver, steps=steps) - exact).abs().max().item()
        for steps in (16, 32, 64)
    ]
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("steps", [1, 3, 100])
def test_rk4_is_exact_for_cubics_in_time(steps: int) -> None:
    found = solve(Cubic(), start(), solver="rk4", steps=steps)
    torch.testing.assert_close(found, start() + 1, rtol=0, atol=1e-6)


def test_euler_takes_the_velocity_at_the_beginning_of_each_step() -> None:
    found = solve(Cubic(), start(), solver="euler", steps=4)
    expected = start() + sum(4 * (i / 4) ** 3 / 4 for i in range(4))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_euler_is_the_textbook_recursion() -> None:
    expected = start() * (1 + RATE / 16) ** 16
    torch.testing.assert_close(
        solve(Linear(), start(), solver="euler", steps=16), expected, rtol=1e-12, atol=0
    )


def test_rk4_is_the_textbook_polynomial_on_a_linear_field() -> None:
    h = RATE / 8
    growth = 1 + h + h**2 / 2 + h**3 / 6 + h**4 / 24
    expected = start() * growth**8
    torch.testing.assert_close(solve(Linear(), start(), solver="rk4", steps=8), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("field", "factor"), FIELDS)
@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-8])
def test_dopri5_stays_near_its_tolerance(field: nn.Module, factor: float, tolerance: float) -> None:
    found = solve(field, start(), solver="dopri5", rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(found, factor * start(), rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("solver", ["euler", "rk4"])
def test_fixed_step_solutions_do_not_depend_on_the_batch(solver: str) -> None:
    at_once = solve(Wave(), start(), solver=solver, steps=10)
    for i in range(3):
        alone = solve(Wave(), start()[i : i + 1], solver=solver, steps=10)
        torch.testing.assert_close(alone[0], at_once[i], rtol=1e-14, atol=0)


@pytest.mark.parametrize("solver", ["euler", "rk4", "dopri5"])
def test_a_point_that_does_not_move_stays(solver: str) -> None:
    velocity = VelocityMLP(2, VelocityConfig(width=8, time_embedding=4)).eval()
    x0 = start().float()
    assert torch.equal(solve(velocity, x0, solver=solver, steps=4), x0)


def test_integration_keeps_no_gradients() -> None:
    x0 = start().requires_grad_()
    assert not solve(Linear(), x0, solver="rk4", steps=2).requires_grad


def test_a_diverged_point_leaves_fixed_step_neighbours_alone() -> None:
    x0 = start()
    x0[1] = torch.nan
    found = solve(Linear(), x0, solver="rk4", steps=8)
    assert found[1].isnan().all()
    assert torch.equal(found[[0, 2]], solve(Linear(), start(), solver="rk4", steps=8)[[0, 2]])


@pytest.mark.parametrize(
    ("sampling", "evaluations"),
    [({"solver": "euler", "steps": 5}, 5), ({"solver": "rk4", "steps": 3}, 12), ({"solver": "dopri5"}, None)],
)
def test_evaluations_of_the_velocity_field_are_counted(
    sampling: dict[str, object], evaluations: int | None
) -> None:
    calls = 0

    class Counting(Linear):
        def forward(self, t: Tensor, x: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return super().forward(t, x)

    _, found = integrate(Counting(), start(), FlowSampling.model_validate(sampling))
    assert found == calls == (evaluations or calls) > 0


@pytest.mark.parametrize(("solver", "last"), [("euler", "10/10"), ("rk4", "40/40"), ("dopri5", "")])
def test_progress_counts_the_evaluations(
    progress_lines: pytest.LogCaptureFixture, solver: str, last: str
) -> None:
    solve(Linear(), start(), solver=solver, steps=10)
    counts = [message.split(",")[0] for message in progress_lines.messages]
    assert counts[0] == f"evaluation 1{last[-3:]}"
    assert counts[-1] == f"evaluation {last or len(set(counts))}"
