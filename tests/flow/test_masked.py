"""Velocity networks over networks of several widths: a narrower network moves as if it had no other units."""

import numpy as np
import pytest
import torch
from torch import nn

from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.velocity import UnitTransformerConfig, VelocityConfig
from dwf_steps.flow.fields import ConditionalField, MaskedNetwork, build_velocity
from dwf_steps.flow.solve import integrate
from dwf_steps.flow.source import Source
from dwf_steps.flow.training import draw_batch
from dwf_steps.flow.transformer import UnitTransformer
from dwf_steps.flow.units import UnitTokens
from dwf_steps.flow.velocity import CategoryEmbedding
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.padding import Padding

OWN, WIDE = (
    Layout.of({"a.responses": (units, 4), "b.responses": (units + 1, 2), "c.responses": (3, 2)})
    for units in (2, 5)
)
PADDING = Padding(OWN, WIDE)
PRESENT = torch.from_numpy(np.stack([np.ones(WIDE.size, bool), PADDING.present]))
NARROW = 1.0  # the number of its zoo


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def embedding(width: int) -> CategoryEmbedding:
    return CategoryEmbedding(width, 2)


def transformer(layout: Layout) -> UnitTransformer:
    config = UnitTransformerConfig.model_validate(
        {"network": "unit_transformer", "width": 16, "depth": 2, "heads": 2, "time_embedding": 8}
    )
    velocity = UnitTransformer(UnitTokens.of_responses(layout, ()), config, embedding)
    noise = draws(1)
    for parameter in velocity.parameters():
        nn.init.normal_(parameter, std=0.3, generator=noise)
    return velocity.eval()


def padded(points: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(PADDING.pad(points.numpy()))


@torch.no_grad()
@pytest.mark.parametrize("told", [NARROW, torch.nan])
def test_a_transformer_moves_a_padded_network_as_one_over_its_own_units_does(told: float) -> None:
    wide, narrow = transformer(WIDE), transformer(OWN)
    narrow.load_state_dict(wide.state_dict())
    masked = MaskedNetwork(wide, PRESENT)
    t, x = torch.rand(6, 1, generator=draws()), torch.randn(6, OWN.size, generator=draws(2))
    given = torch.cat([t, torch.full_like(t, told)], dim=1)
    found = masked(torch.cat([given, torch.full_like(t, NARROW)], dim=1), padded(x))
    torch.testing.assert_close(found, padded(narrow(given, x)), rtol=1e-4, atol=1e-5)
    # What stands where units are absent plays no part.
    noisy = torch.where(PRESENT[1], padded(x), 7.0)
    torch.testing.assert_close(masked(torch.cat([given, torch.full_like(t, NARROW)], dim=1), noisy), found)
    assert (wide(given, padded(x)) - found).abs().max() > 0.01


def test_of_the_path_only_what_is_there_moves() -> None:
    config = FlowConfig.model_validate({"kind": "flow", "sigma": 0.1, "condition": {"variable": "zoo"}})
    targets = torch.randn(40, WIDE.size, generator=draws())
    zoos = (torch.arange(40) % 2).float().unsqueeze(1)
    targets = targets * PRESENT[zoos[:, 0].long()]
    batch = draw_batch(targets, 200, config, draws(3), Source(), condition=zoos, present=PRESENT)
    assert batch.t.shape == (200, 3)
    told, zoo = batch.t[:, 1], batch.t[:, 2]
    assert torch.equal(told[~told.isnan()], zoo[~told.isnan()]) and 0 < told.isnan().sum() < 60
    for value in (batch.x, batch.u, batch.x1):
        here = value != 0
        assert torch.equal(here, PRESENT[zoo.long()])


@torch.no_grad()
@pytest.mark.parametrize("weight", [0.0, 1.5])
def test_samples_of_a_narrower_zoo_stay_where_they_have_no_units(weight: float) -> None:
    masked = MaskedNetwork(transformer(WIDE), PRESENT)
    asked = torch.tensor([[0.0], [NARROW]] * 3)
    start = torch.randn(6, WIDE.size, generator=draws()) * PRESENT[asked[:, 0].long()]
    field = ConditionalField(masked, condition=asked, weight=weight)
    sampling = FlowConfig.model_validate({"kind": "flow", "sampling": {"steps": 3}}).sampling
    ends, _ = integrate(field, start, sampling, field.manifold)
    assert torch.equal(ends != 0, PRESENT[asked[:, 0].long()])
    assert (ends - start).abs().max() > 0.1


def test_any_velocity_network_is_masked() -> None:
    built = build_velocity(WIDE.size, VelocityConfig(width=8), None, embedding, PRESENT)
    for parameter in built.parameters():
        nn.init.normal_(parameter, generator=draws())
    given = torch.tensor([[0.3, torch.nan, 0.0], [0.3, 1.0, NARROW]])
    with torch.no_grad():
        found = built.eval()(given, torch.ones(2, WIDE.size))
    assert torch.equal(found != 0, PRESENT)
    assert "present" in built.state_dict()


def test_statistics_are_those_of_units_that_are_there() -> None:
    rows = np.random.default_rng(0).normal(1, 2, size=(30, WIDE.size))
    present = PRESENT.numpy()[np.arange(30) % 2]
    tokens = UnitTokens.of_responses(WIDE, ())
    shift, scale = tokens.statistics(np.where(present, rows, 0), present)
    first = np.concatenate([rows[::2, :20].reshape(-1, 4), rows[1::2, :8].reshape(-1, 4)])
    np.testing.assert_allclose(shift[:20], np.tile(first.mean(axis=0), 5))
    np.testing.assert_allclose(scale[:20], np.tile(first.std(axis=0), 5))
    # Outputs are placed, and all networks have them.
    np.testing.assert_allclose(shift[-6:], rows[:, -6:].mean(axis=0))
    everywhere = tokens.statistics(rows, np.ones_like(present))
    for found, expected in zip(everywhere, tokens.statistics(rows), strict=True):
        np.testing.assert_allclose(found, expected)
