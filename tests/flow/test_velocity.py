"""The velocity network has the published form and starts at zero."""

import numpy as np
import pytest
import torch
from torch import nn

from dwf_steps.config.generators.velocity import VelocityConfig
from dwf_steps.flow.velocity import TimeEmbedding, VelocityMLP, hidden_widths


@pytest.mark.parametrize(
    ("width", "depth", "expected"),
    [
        (512, 1, [512]),
        (512, 2, [512, 512]),
        (512, 3, [512, 256, 512]),
        (64, 5, [64, 32, 32, 32, 64]),
        (7, 3, [7, 3, 7]),
        (1, 3, [1, 1, 1]),
    ],
)
def test_hidden_layers_narrow_in_the_middle(width: int, depth: int, expected: list[int]) -> None:
    config = VelocityConfig(width=width, depth=depth)
    assert hidden_widths(config) == expected
    linear = [layer for layer in VelocityMLP(9, config).hidden if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linear] == expected
    assert linear[0].in_features == 9 + config.time_embedding


@pytest.mark.parametrize("dimension", [1, 3, 20])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_velocity_starts_at_zero(dimension: int, depth: int) -> None:
    velocity = VelocityMLP(dimension, VelocityConfig(width=16, depth=depth, time_embedding=8))
    draws = torch.Generator().manual_seed(0)
    t, x = torch.rand(5, 1, generator=draws), torch.randn(5, dimension, generator=draws)
    assert torch.equal(velocity(t, x), torch.zeros(5, dimension))


def test_a_moved_output_layer_makes_velocities_of_point_and_time() -> None:
    velocity = VelocityMLP(3, VelocityConfig(width=16, time_embedding=8, dropout=0.0))
    draws = torch.Generator().manual_seed(1)
    nn.init.normal_(velocity.output.weight, generator=draws)
    t, x = torch.rand(5, 1, generator=draws), torch.randn(5, 3, generator=draws)
    found = velocity(t, x)
    assert found.shape == (5, 3)
    assert not torch.allclose(found, velocity(t + 0.1, x))
    assert not torch.allclose(found, velocity(t, x + 0.1))
    torch.testing.assert_close(velocity(t[2:3], x[2:3])[0], found[2], rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_alone() -> None:
    velocity = VelocityMLP(3, VelocityConfig(width=64, time_embedding=8, dropout=0.5))
    nn.init.ones_(velocity.output.weight)
    t, x = torch.full((4, 1), 0.5), torch.ones(4, 3)
    assert not torch.equal(velocity(t, x), velocity(t, x))
    velocity.eval()
    assert torch.equal(velocity(t, x), velocity(t, x))


def test_the_time_embedding_is_sinusoidal() -> None:
    embedding = TimeEmbedding(8)
    t = np.array([[0.0], [0.25], [1.0]])
    frequencies = 1000.0 * 10_000.0 ** (-np.arange(4) / 4)
    np.testing.assert_allclose(embedding.frequencies.numpy(), frequencies, rtol=1e-5)
    waves = np.concatenate([np.cos(t * frequencies), np.sin(t * frequencies)], axis=1)
    expected = embedding.linear(torch.from_numpy(waves).float()).detach().numpy()
    found = embedding(torch.from_numpy(t).float()).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)
