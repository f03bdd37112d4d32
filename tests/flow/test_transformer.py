"""The transformer over units: shapes, symmetry, and that it learns what units have in common."""

import numpy as np
import pytest
import torch
from torch import nn

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.velocity import UnitTransformerConfig, VelocityConfig
from dwf_steps.flow.fields import build_velocity
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.training import fit_velocity
from dwf_steps.flow.transformer import UnitTransformer
from dwf_steps.flow.units import UnitTokens
from dwf_steps.storage.layout import Layout
from dwf_steps.symmetry.permutation import permute

SMALL = {"network": "unit_transformer", "width": 16, "depth": 2, "heads": 2, "time_embedding": 8}


def tokens_of(widths: list[int]) -> UnitTokens:
    architecture = build(MLPConfig(widths=widths))
    return UnitTokens.of(architecture.layout, architecture.permutation_spec())


def random_transformer(widths: list[int], **settings: bool) -> UnitTransformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = UnitTransformerConfig.model_validate(SMALL | settings)
        velocity = UnitTransformer(tokens_of(widths), config)
        for parameter in velocity.parameters():
            nn.init.normal_(parameter, std=0.3)
    return velocity.eval()


@torch.no_grad()
def velocities_of_permuted(widths: list[int], **settings: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return v(permuted networks) and permuted v(networks), for permutations of the first hidden layer."""
    architecture, draws = build(MLPConfig(widths=widths)), np.random.default_rng(0)
    velocity = random_transformer(widths, **settings)
    t, x = torch.rand(3, 1), torch.from_numpy(draws.normal(size=(3, architecture.layout.size))).float()
    counts = {f"hidden.{i}": units for i, units in enumerate(widths[1:-1])}
    orders = {name: np.tile(np.arange(units), (3, 1)) for name, units in counts.items()}
    orders["hidden.0"] = np.stack([draws.permutation(widths[1]) for _ in range(3)])

    def permuted(rows: torch.Tensor) -> torch.Tensor:
        networks = permute(
            architecture.layout.unflatten(rows.numpy()), architecture.permutation_spec(), orders
        )
        return torch.from_numpy(np.concatenate([v.reshape(3, -1) for v in networks.values()], axis=1))

    return velocity(t, permuted(x)).numpy(), permuted(velocity(t, x)).numpy()


def test_it_commutes_with_the_order_of_a_single_hidden_layers_units() -> None:
    np.testing.assert_allclose(*velocities_of_permuted([4, 6, 3]), rtol=1e-4, atol=1e-5)


def test_with_positions_units_are_told_apart() -> None:
    one, other = velocities_of_permuted([4, 6, 3], positions=True)
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("widths", [[4, 3], [4, 6, 3], [4, 6, 5, 3]])
def test_velocities_have_the_networks_shape_and_start_at_zero(widths: list[int]) -> None:
    tokens = tokens_of(widths)
    velocity = UnitTransformer(tokens, UnitTransformerConfig.model_validate(SMALL))
    out = velocity(torch.rand(5, 1), torch.randn(5, tokens.size))
    assert out.shape == (5, tokens.size)
    assert (out == 0).all()
    assert random_transformer(widths)(torch.rand(5, 1), torch.randn(5, tokens.size)).abs().min() > 0


def test_whole_networks_are_needed_to_know_units() -> None:
    assert build_velocity(4, VelocityConfig(), None)
    with pytest.raises(ValueError, match="use a subspace of method 'none'"):
        build_velocity(4, UnitTransformerConfig.model_validate(SMALL), None)


def test_width_must_be_a_multiple_of_heads() -> None:
    with pytest.raises(ValueError, match=r"width \(10\) must be a multiple of heads \(3\)"):
        UnitTransformerConfig(network="unit_transformer", width=10, heads=3)


def test_what_is_true_of_units_anywhere_is_learned() -> None:
    """Outgoing weights are minus the incoming ones in every unit: the field must take samples there."""
    architecture = build(MLPConfig(widths=[2, 4, 2]))
    network, tokens = NetworkSpec(architecture.layout, architecture), tokens_of([2, 4, 2])
    rows = np.random.default_rng(0).normal(size=(512, tokens.size)).astype(np.float32)
    incoming, bias, outgoing = (tokens.groups[0][:, part] for part in (slice(0, 2), 2, slice(3, 5)))
    rows[:, outgoing] = -rows[:, incoming]
    config = FlowConfig.model_validate(
        {
            "kind": "flow",
            "velocity": SMALL | {"width": 32},
            "training": {"steps": 400, "batch_size": 64, "lr": 3e-3, "ema": 0.99, "clip": 1.0},
        }
    )
    flow = fit_velocity(torch.from_numpy(rows), config, torch.device("cpu"), network=network)
    x = torch.randn(256, tokens.size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for step in range(20):
            x = x + flow.velocity(torch.full((256, 1), step / 20), x) / 20
    sums = (x[:, incoming] + x[:, outgoing]).std().item()
    assert sums < 0.4  # of independent weights it would be 1.4
    assert x[:, bias].std().item() == pytest.approx(1, abs=0.25)


def among_responses(positions: bool = False) -> tuple[UnitTransformer, Layout]:
    """Return a random transformer over two hidden layers, the outputs, and a norm's parameters."""
    layout = Layout.of({"a": (6, 4), "b": (5, 3), "c": (3, 4), "norm": (6,)})
    tokens = UnitTokens.of_responses(layout, ["norm"], positions)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = UnitTransformerConfig.model_validate(SMALL | {"positions": positions})
        velocity = UnitTransformer(tokens, config)
        for parameter in velocity.parameters():
            nn.init.normal_(parameter, std=0.3)
    return velocity.eval(), layout


@torch.no_grad()
@pytest.mark.parametrize(
    ("layer", "positions", "commutes"),
    [("a", False, True), ("b", False, True), ("c", False, False), ("a", True, False), ("b", True, False)],
)
def test_among_responses_the_order_of_hidden_units_plays_no_part_and_that_of_outputs_does(
    layer: str, positions: bool, commutes: bool
) -> None:
    velocity, layout = among_responses(positions)
    (entry,) = (entry for entry in layout.entries if entry.name == layer)
    order = torch.arange(layout.size)
    units = order[entry.columns].reshape(entry.shape)
    order[entry.columns] = units.roll(1, dims=0).flatten()
    draws = torch.Generator().manual_seed(1)
    t, x = torch.rand(3, 1, generator=draws), torch.randn(3, layout.size, generator=draws)
    difference = (velocity(t, x[:, order]) - velocity(t, x)[:, order]).abs().max().item()
    assert difference < 1e-5 if commutes else difference > 0.1


def test_outputs_have_a_place_and_hidden_units_only_where_asked() -> None:
    assert [len(among_responses(positions)[0].positions) for positions in (False, True)] == [3, 15]  # type: ignore[arg-type]
