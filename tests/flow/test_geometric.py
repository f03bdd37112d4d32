"""Flows on the geometry of weights: paths are geodesics, velocities theirs, samples stay on the manifold."""

import math
from itertools import permutations
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.flow_sampling import FlowSampling
from dwf_steps.flow.coupling import couple
from dwf_steps.flow.fields import Batch, VelocityField
from dwf_steps.flow.path import probability_path
from dwf_steps.flow.solve import integrate
from dwf_steps.flow.source import Source
from dwf_steps.flow.training import draw_batch, fit_velocity
from dwf_steps.geometry.product import ProductManifold, Spheres

MANIFOLD = ProductManifold([Spheres(0, 2, 3), Spheres(8, 1, 4)])
D = 12
CPU = torch.device("cpu")


def points(n: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return MANIFOLD.uniform(torch.randn(n, D, generator=draws, dtype=dtype))


def config(**settings: object) -> FlowConfig:
    given = {"kind": "flow", "geometry": "geometric", "sampling": {"solver": "euler", "steps": 50}}
    return FlowConfig.model_validate(given | settings)


def test_the_velocity_is_the_paths_derivative_and_the_rest_of_the_way() -> None:
    x0, x1 = points(9, 0), points(9, 1)
    t = torch.linspace(0.05, 0.9, 9, dtype=torch.float64)[:, None]
    x, u = probability_path(MANIFOLD, x0, x1, t, torch.zeros_like(x0), 0.0)
    h = 1e-6
    later, earlier = (MANIFOLD.geodesic(x0, x1, t + s) for s in (h, -h))
    torch.testing.assert_close(u, (later - earlier) / (2 * h), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(u, MANIFOLD.log(x, x1) / (1 - t), rtol=1e-8, atol=1e-8)


def test_noise_stays_on_the_manifold_and_velocities_tangent() -> None:
    x0, x1, noise = points(50, 0), points(50, 1), torch.randn(50, D, dtype=torch.float64)
    x, u = probability_path(MANIFOLD, x0, x1, torch.full((50, 1), 0.4, dtype=torch.float64), noise, 0.2)
    torch.testing.assert_close(MANIFOLD.project(x), x)
    torch.testing.assert_close(MANIFOLD.tangent(x, u), u)
    plain, _ = probability_path(MANIFOLD, x0, x1, torch.full((50, 1), 0.4, dtype=torch.float64), noise, 0.0)
    assert 0.1 < MANIFOLD.distance(x, plain).mean() / (0.2 * math.sqrt(D - 3)) < 1.1  # D - 3 free directions


def test_batches_start_on_the_manifold_and_are_repeatable() -> None:
    targets = points(20, 3, torch.float32)
    one, again = (
        draw_batch(targets, 64, config(), torch.Generator().manual_seed(1), Source(manifold=MANIFOLD))
        for _ in "ab"
    )
    for name in ("t", "x", "u", "x1"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    torch.testing.assert_close(MANIFOLD.project(one.x), one.x)
    assert all(any(torch.equal(end, target) for target in targets) for end in one.x1)


def test_partners_are_the_nearest_by_geodesics() -> None:
    x0, x1 = points(6, 0), points(6, 1)
    paired = x1[couple(x0, x1, "ot", MANIFOLD)]
    total = MANIFOLD.distance(x0, paired).square().sum()
    best = min(MANIFOLD.distance(x0, x1[list(p)]).square().sum().item() for p in permutations(range(6)))
    assert total.item() == pytest.approx(best)


class Towards(nn.Module):
    """Knows where every path ends."""

    def __init__(self, target: Tensor, prediction: str) -> None:
        super().__init__()
        self.target, self.prediction = target, prediction

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        if self.prediction == "endpoint":
            return self.target.expand(len(x), -1)
        return MANIFOLD.log(x, self.target.expand(len(x), -1)) / (1 - t)


@pytest.mark.parametrize("prediction", ["velocity", "endpoint"])
@pytest.mark.parametrize("steps", [1, 7, 100])
def test_a_perfect_field_leads_every_point_to_the_target(prediction: str, steps: int) -> None:
    x0, target = points(9, 0), points(1, 4)
    field = VelocityField(Towards(target, prediction), prediction, MANIFOLD)  # type: ignore[arg-type]
    ends, evaluations = integrate(field, x0, FlowSampling(solver="euler", steps=steps), MANIFOLD)
    torch.testing.assert_close(ends, target.expand(9, -1), rtol=1e-6, atol=1e-6)
    assert evaluations == steps


def test_endpoints_become_the_same_velocities_in_every_geometry() -> None:
    x, end, t = points(9, 0), points(9, 1), torch.full((9, 1), 0.3, dtype=torch.float64)

    says = cast(nn.Module, lambda *_: end)
    curved = VelocityField(says, "endpoint", MANIFOLD)(t, x)
    torch.testing.assert_close(curved, MANIFOLD.log(x, end) / 0.7)
    flat = VelocityField(says, "endpoint")(t, x)
    torch.testing.assert_close(flat, (end - x) / 0.7)
    batch = Batch(t, x, x * 0, end)
    assert VelocityField(says, "endpoint", MANIFOLD).residual(batch).abs().max() == 0


@pytest.mark.parametrize("prediction", ["velocity", "endpoint"])
def test_a_flow_learns_where_two_networks_are(prediction: str) -> None:
    """Two clusters on the manifold: samples end near one of them, as often near either."""
    centres = points(2, 7)
    draws = torch.Generator().manual_seed(2)
    noise = 0.1 * torch.randn(200, D, generator=draws, dtype=torch.float64)
    own = centres[torch.arange(200) % 2]
    targets = MANIFOLD.exp(own, MANIFOLD.tangent(own, noise)).float()
    settings = config(
        prediction=prediction,
        velocity={"width": 64, "dropout": 0.0},
        training={"steps": 1500, "batch_size": 128, "lr": 3e-3},
    )
    flow = fit_velocity(targets, settings, CPU, source=Source(manifold=MANIFOLD))
    x0 = points(400, 11, torch.float32)
    field = VelocityField(flow.velocity, settings.prediction, MANIFOLD)
    ends, _ = integrate(field, x0, settings.sampling, MANIFOLD)
    torch.testing.assert_close(MANIFOLD.project(ends), ends)
    distances = torch.stack([MANIFOLD.distance(ends, c.float().expand(400, -1)) for c in centres])
    spread = 0.1 * math.sqrt(D - 3)
    assert (distances.min(0).values < 4 * spread).float().mean() > 0.9
    assert 0.35 < (distances.argmin(0) == 0).float().mean() < 0.65


def test_other_solvers_than_euler_are_refused_where_space_is_curved() -> None:
    field = VelocityField(Towards(points(1, 4), "velocity"), manifold=MANIFOLD)
    with pytest.raises(ValueError, match="found 'rk4', but only 'euler' follows geodesics; use 'euler'"):
        integrate(field, points(3, 0), FlowSampling(solver="rk4"), MANIFOLD)


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="'kaiming' needs geometry: 'euclidean'"):
        config(geometry="normalized", source="kaiming")
    graph = {"network": "relational_transformer"}
    with pytest.raises(
        ValueError, match=r"other_widths needs source: 'standard', found 'kaiming', whose mean"
    ):
        config(geometry="euclidean", source="kaiming", velocity=graph, other_widths=[[4, 6, 3]])
