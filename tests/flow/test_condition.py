"""Conditional flows: what is told, what is asked for, and classifier-free guidance in closed form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.special import erf
from torch import Tensor, nn

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import Condition, FlowConfig
from dwf_steps.config.generators.flow_sampling import FlowSampling
from dwf_steps.config.generators.velocity import (
    AnyVelocity,
    RelationalTransformerConfig,
    UnitTransformerConfig,
    VelocityConfig,
)
from dwf_steps.flow.condition import KnownValues, KnownZoos, told
from dwf_steps.flow.fields import Batch, ConditionalField, VelocityField, build_velocity
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.relational import RelationalTransformer
from dwf_steps.flow.solve import integrate
from dwf_steps.flow.source import Source
from dwf_steps.flow.training import draw_batch, fit_velocity
from dwf_steps.flow.velocity import CategoryEmbedding, ConditionEmbedding, TimeEmbedding, VelocityMLP
from dwf_steps.runtime.errors import InputError

CPU = torch.device("cpu")
SMALL = VelocityConfig(width=16, time_embedding=8, dropout=0.0)
ACCURACIES = torch.tensor([0.90, 0.96, 0.93, 0.99, 0.92], dtype=torch.float64)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def filled(network: nn.Module) -> nn.Module:
    """Return the network with random weights, in evaluation mode."""
    generator = draws(3)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return network.eval()


def sampling(**settings: Any) -> FlowSampling:
    return FlowSampling.model_validate(settings)


def test_values_are_told_in_standard_deviations_from_their_mean() -> None:
    known = KnownValues.of("accuracy", ACCURACIES, "generators.flow")
    expected = (ACCURACIES.numpy() - np.mean(ACCURACIES.numpy())) / np.std(ACCURACIES.numpy())
    np.testing.assert_allclose(known.standardised(ACCURACIES)[:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(("on", "best"), [("accuracy", 0.99), ("loss", 0.90), ("epoch", 0.99)])
def test_the_best_is_the_highest_accuracy_the_lowest_loss_and_the_last_epoch(on: Any, best: float) -> None:
    known = KnownValues.of(on, ACCURACIES, "generators.flow")
    expected = known.standardised(torch.tensor([best], dtype=torch.float64)).expand(200, 1)
    torch.testing.assert_close(known.asked(sampling(), 200), expected)
    torch.testing.assert_close(known.asked(sampling(condition=best), 200), expected)


def test_samples_are_asked_for_values_of_training_networks_by_seed() -> None:
    known = KnownValues.of("accuracy", ACCURACIES, "generators.flow")
    first, again, other = (known.asked(sampling(condition="training", seed=seed), 200) for seed in (1, 1, 2))
    values, counts = torch.unique(first, return_counts=True)
    assert torch.equal(values, known.standardised(ACCURACIES.sort().values)[:, 0])
    assert counts.min() > 20
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e5])
def test_equal_values_are_refused_with_the_key(value: float) -> None:
    with pytest.raises(
        InputError, match=r"generators\.flow\.condition\.variable: all 3 networks .* 'accuracy' or"
    ):
        KnownValues.of("loss", torch.full((3,), value, dtype=torch.float64), "generators.flow")


@pytest.mark.parametrize("dropout", [0.0, 0.3, 1.0])
def test_conditions_are_left_out_at_the_stated_probability(dropout: float) -> None:
    values = torch.arange(10_000.0).unsqueeze(1)
    found = told(values, Condition.model_construct(variable="loss", dropout=dropout), draws())
    left_out = found.isnan()
    assert left_out.float().mean().item() == pytest.approx(dropout, abs=0.02)
    assert torch.equal(found[~left_out], values[~left_out])


@pytest.mark.parametrize("coupling", ["independent", "ot"])
def test_every_point_of_a_batch_has_its_own_targets_condition(coupling: str) -> None:
    targets = torch.randn(12, 3, generator=draws(7))
    settings = {"coupling": coupling, "condition": {"variable": "loss", "dropout": 0.25}}
    config = FlowConfig.model_validate({"kind": "flow", **settings})
    condition, rows = torch.arange(12.0).unsqueeze(1), torch.tensor([1, 4, 5, 8])
    batch = draw_batch(targets, 400, config, draws(), Source(), rows, condition)
    plain = draw_batch(targets, 400, config, draws(), Source(), rows)
    assert torch.equal(batch.x, plain.x) and torch.equal(batch.t[:, :1], plain.t)
    known = ~batch.t[:, 1].isnan()
    number = batch.t[known, 1].long()
    assert torch.equal(batch.x1[known], targets[number])
    assert set(number.tolist()) == set(rows.tolist())
    assert known.float().mean().item() == pytest.approx(0.75, abs=0.06)


def test_the_embedding_adds_an_mlp_of_the_condition_or_a_learned_vector() -> None:
    embedding = filled(ConditionEmbedding(8))
    assert isinstance(embedding, ConditionEmbedding)
    t, c = torch.rand(5, 1, generator=draws()), torch.tensor([[0.5], [-2.0], [torch.nan], [0.0], [1.0]])
    first, _, last = embedding.condition
    (v, p), (w, q) = ([part.detach().numpy() for part in layer.parameters()] for layer in (first, last))
    hidden = c.nan_to_num().numpy() @ v.T + p
    expected = hidden * 0.5 * (1 + erf(hidden / 2**0.5)) @ w.T + q
    expected[2] = embedding.unconditional.detach()
    with torch.no_grad():
        angles = t * embedding.frequencies
        time = embedding.linear(torch.cat([angles.cos(), angles.sin()], dim=1)).numpy()
        found = embedding(torch.cat([t, c], dim=1)).numpy()
    np.testing.assert_allclose(found, time + expected, rtol=1e-5, atol=1e-6)


NETWORK = build(MLPConfig(widths=[4, 6, 3]))
VELOCITIES: list[AnyVelocity] = [
    SMALL,
    UnitTransformerConfig(network="unit_transformer", width=16, depth=1, heads=2, time_embedding=8),
    RelationalTransformerConfig(network="relational_transformer", width=8, depth=1, time_embedding=8),
]


@pytest.mark.parametrize("config", VELOCITIES, ids=lambda config: config.network)
@pytest.mark.parametrize("prediction", ["velocity", "endpoint"])
def test_guided_velocities_are_the_stated_combination(config: AnyVelocity, prediction: Any) -> None:
    d = NETWORK.layout.size
    network = filled(
        build_velocity(d, config, NetworkSpec(NETWORK.layout, NETWORK), embedding=ConditionEmbedding)
    )
    t, x = torch.rand(6, 1, generator=draws()), torch.randn(6, d, generator=draws(1))
    asked, weight = torch.linspace(-1, 2, 6).unsqueeze(1), 1.5
    with torch.no_grad():
        told, untold = (network(torch.cat([t, c], 1), x) for c in (asked, torch.full((6, 1), torch.nan)))
        if prediction == "endpoint":
            told, untold = ((outputs - x) / (1 - t) for outputs in (told, untold))
        parts = network, prediction
        guided = ConditionalField(*parts, condition=asked, weight=weight)(t, x)
        plain, unconditional = ConditionalField(*parts, condition=asked)(t, x), ConditionalField(*parts)(t, x)
    torch.testing.assert_close(guided, 2.5 * told - 1.5 * untold, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plain, told, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(unconditional, untold, rtol=1e-4, atol=1e-5)
    assert (told - untold).abs().max() > 1e-2


def test_a_relational_transformer_splits_conditions_as_it_does_times() -> None:
    spec = NetworkSpec(NETWORK.layout, NETWORK)
    network = filled(build_velocity(NETWORK.layout.size, VELOCITIES[2], spec, embedding=ConditionEmbedding))
    assert isinstance(network, RelationalTransformer)
    t, x = torch.rand(7, 2, generator=draws()), torch.randn(7, NETWORK.layout.size, generator=draws(1))
    with torch.no_grad():
        whole = network(t, x)
        network.chunk_size = 3
        torch.testing.assert_close(network(t, x), whole)
    u = torch.randn(7, NETWORK.layout.size, generator=draws(2))
    loss = VelocityField(network).backward(Batch(t, x, u, x))
    torch.testing.assert_close(loss, (whole - u).square().mean())


@dataclass
class Gaussians:
    """The exact velocity between N(0, 1) and N(c, 0.5^2), and without c between N(0, 1) and N(0, 1.25)."""

    calls: int = 0

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        self.calls += 1
        t, c = t.split(1, dim=1)
        mean, variance = c.nan_to_num(), torch.where(c.isnan(), 1.25, 0.25)
        return mean + rate(t, variance) * (x - t * mean)


def rate(t: Any, variance: Any) -> Any:
    """Return d log(std) / dt of the path (1 - t) x0 + t x1 around its mean."""
    return (t * variance - (1 - t)) / ((1 - t) ** 2 + t**2 * variance)


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("solver", ["euler", "rk4"])
def test_guided_flows_end_where_their_equation_does(weight: float, solver: str) -> None:
    """The combined velocity is linear in x: SciPy solves it by itself."""
    exact, steps = Gaussians(), 400 if solver == "euler" else 40
    asked = torch.tensor([[1.0], [1.0], [-2.0]])
    field = ConditionalField(exact, condition=asked, weight=weight)  # type: ignore[arg-type]
    start = torch.tensor([[0.3], [-1.0], [0.5]])
    config = FlowSampling.model_validate({"solver": solver, "steps": steps})
    ends, evaluations = integrate(field, start, config)
    assert evaluations * field.evaluations == exact.calls
    assert exact.calls == steps * (4 if solver == "rk4" else 1) * (2 if weight else 1)

    def slope(t: float, x: np.ndarray) -> np.ndarray:
        c = asked[:, 0].numpy()
        conditional = c + rate(t, 0.25) * (x - t * c)
        return (1 + weight) * conditional - weight * rate(t, 1.25) * x

    expected = solve_ivp(slope, (0, 1), start[:, 0].numpy(), rtol=1e-9, atol=1e-9).y[:, -1]
    np.testing.assert_allclose(ends[:, 0], expected, atol=2e-2 if solver == "euler" else 1e-4)


def toy(dropout: float, **training: Any) -> FlowConfig:
    config = {
        "kind": "flow",
        "velocity": {"width": 32, "time_embedding": 16, "dropout": 0.0},
        "training": {"steps": 600, "batch_size": 128, "lr": 1e-2, "ema": 0.98, **training},
        "condition": {"variable": "loss", "dropout": 0.1},
    }
    asked = Condition.model_construct(variable="loss", dropout=dropout)  # 1 is beyond what users may ask for
    return FlowConfig.model_validate(config).model_copy(update={"condition": asked})


def ends_of(network: nn.Module, condition: Tensor) -> Tensor:
    field = ConditionalField(network, condition=condition)
    return integrate(field, torch.randn(len(condition), 1, generator=draws(5)), FlowSampling(steps=20))[0]


def test_samples_are_the_function_of_the_condition_that_networks_are() -> None:
    c = torch.linspace(-1.7, 1.7, 64).unsqueeze(1)
    targets = c.square() - 1  # two conditions of every target, and no way to know it but by the condition
    network = fit_velocity(targets, toy(0.2), CPU, condition=c).velocity
    asked = torch.tensor([-1.5, -0.5, 0.0, 0.8, 1.6]).repeat_interleave(100).unsqueeze(1)
    found = ends_of(network, asked).view(5, 100)
    expected = asked.view(5, 100)[:, 0].square() - 1
    torch.testing.assert_close(found.mean(1), expected, rtol=0, atol=0.15)
    assert found.std(1).max() < 0.25
    unconditional = ends_of(network, torch.full((1000, 1), torch.nan))
    assert unconditional.mean().item() == pytest.approx(targets.mean().item(), abs=0.15)
    assert unconditional.std().item() == pytest.approx(targets.std().item(), abs=0.2)


def test_with_every_condition_left_out_the_flow_is_the_unconditional_one() -> None:
    targets = torch.randn(40, 2, generator=draws(1))
    config = toy(1.0, steps=30, weight_decay=0.0, ema=0.0)
    one, other = (
        fit_velocity(targets, config, CPU, condition=torch.randn(40, 1, generator=draws(seed)))
        for seed in (2, 3)
    )
    for name, value in one.velocity.state_dict().items():
        assert torch.equal(value, other.velocity.state_dict()[name]), name
    assert one.losses.equals(other.losses)
    network = one.velocity
    assert isinstance(network, VelocityMLP) and isinstance(network.time, ConditionEmbedding)
    # The same weights in an unconditional network, whose embedding is moved by the learned vector.
    plain = VelocityMLP(2, config.velocity)  # type: ignore[arg-type]
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if k in plain.state_dict()})
    plain.eval()
    plain.time.linear.append(Moved(network.time.unconditional.detach()))
    assert network.time.unconditional.abs().max() > 1e-3
    t, x = torch.rand(9, 1, generator=draws()), torch.randn(9, 2, generator=draws(1))
    torch.testing.assert_close(ConditionalField(network)(t, x), plain(t, x))


class Moved(nn.Module):
    def __init__(self, by: Tensor) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return x + self.by


def test_a_flow_that_is_told_nothing_has_the_weights_that_it_had() -> None:
    plain = FlowConfig.model_validate({"kind": "flow", "velocity": SMALL, "training": {"steps": 5}})
    asked = plain.model_copy(update={"condition": Condition(variable="loss")})
    targets = torch.randn(10, 2, generator=draws(1))
    one, other = (fit_velocity(targets, config, CPU).velocity.state_dict() for config in (plain, asked))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


ZOOS = KnownZoos(("low", "high", "wide"))


def test_zoos_are_told_by_number_and_asked_for_in_turn_or_by_name() -> None:
    assert ZOOS.numbers(["wide", "low"]).tolist() == [[2.0], [0.0]]
    assert ZOOS.names(sampling(samples=5), 5) == ["low", "high", "wide", "low", "high"]
    assert ZOOS.asked(sampling(samples=5), 5)[:, 0].tolist() == [0, 1, 2, 0, 1]
    assert ZOOS.names(sampling(zoo="high"), 3) == ["high"] * 3
    # All candidates for a network are asked for the same.
    assert ZOOS.names(sampling(candidates=2), 6) == ["low", "low", "high", "high", "wide", "wide"]


def test_the_embedding_adds_a_vector_for_every_zoo_and_one_for_knowing_none() -> None:
    embedding = filled(CategoryEmbedding(8, 3))
    assert isinstance(embedding, CategoryEmbedding)
    t, c = torch.rand(4, 1, generator=draws()), torch.tensor([[2.0], [torch.nan], [0.0], [1.0]])
    with torch.no_grad():
        found = embedding(torch.cat([t, c], dim=1))
        time = TimeEmbedding.forward(embedding, t)
    torch.testing.assert_close(found - time, embedding.categories.weight[[2, 3, 0, 1]].detach())


def test_a_flow_that_is_told_zoos_draws_each_ones_gaussian() -> None:
    """Three Gaussians, and their mixture where no zoo is asked for."""
    mean, std = torch.tensor([-2.0, 2.0, 0.5]), torch.tensor([0.3, 0.6, 0.1])
    zoo = torch.arange(3.0).repeat_interleave(400)
    targets = mean[zoo.long()] + std[zoo.long()] * torch.randn(1200, generator=draws(1))
    config = FlowConfig.model_validate(
        toy(0.2).model_dump(exclude={"condition"}) | {"condition": {"variable": "zoo", "dropout": 0.2}}
    )
    told = zoo.unsqueeze(1)
    fit = fit_velocity(targets.unsqueeze(1), config, CPU, condition=told, embedding=ZOOS.embedding)
    found = ends_of(fit.velocity, ZOOS.asked(sampling(), 3000)).view(1000, 3)
    torch.testing.assert_close(found.mean(0), mean, rtol=0, atol=0.12)
    torch.testing.assert_close(found.std(0), std, rtol=0.25, atol=0.1)
    unconditional = ends_of(fit.velocity, torch.full((3000, 1), torch.nan))
    assert unconditional.mean().item() == pytest.approx(targets.mean().item(), abs=0.15)
    assert unconditional.std().item() == pytest.approx(targets.std().item(), abs=0.2)
