"""Every weight belongs to one unit, and units share their statistics."""

import numpy as np
import pytest

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.flow.units import UnitTokens


def tokens_of(widths: list[int]) -> UnitTokens:
    architecture = build(MLPConfig(widths=widths))
    return UnitTokens.of(architecture.layout, architecture.permutation_spec())


@pytest.mark.parametrize("widths", [[4, 3], [4, 6, 3], [4, 6, 5, 3]])
def test_every_weight_is_in_exactly_one_token(widths: list[int]) -> None:
    tokens = tokens_of(widths)
    columns = np.concatenate([group.ravel() for group in tokens.groups])
    assert sorted(columns) == list(range(build(MLPConfig(widths=widths)).layout.size))


def test_a_units_token_is_what_comes_in_its_bias_and_what_goes_out() -> None:
    layout = build(MLPConfig(widths=[4, 6, 3])).layout
    row = np.arange(layout.size)
    weights = {name: array[0] for name, array in layout.unflatten(row[None]).items()}
    hidden, rest = tokens_of([4, 6, 3]).groups
    assert hidden.shape == (6, 4 + 1 + 3)
    for unit, columns in enumerate(hidden):
        expected = [
            *weights["layers.0.weight"][unit],
            weights["layers.0.bias"][unit],
            *weights["layers.1.weight"][:, unit],
        ]
        assert sorted(row[columns]) == sorted(expected)
    assert list(rest[0]) == list(weights["layers.1.bias"])


def test_between_two_hidden_layers_a_weight_belongs_to_the_unit_it_goes_into() -> None:
    groups = tokens_of([4, 6, 5, 3]).groups
    assert [group.shape for group in groups] == [(6, 5), (5, 6 + 1 + 3), (1, 3)]


def test_statistics_are_over_all_networks_and_all_units_of_a_layer() -> None:
    tokens = tokens_of([4, 6, 3])
    rows = np.random.default_rng(0).normal(2, 3, size=(50, tokens.size))
    rows[:, tokens.groups[0][:, 2]] = 7.0  # a weight that is the same everywhere
    shift, scale = tokens.statistics(rows)
    for group in tokens.groups:
        values = rows[:, group].reshape(-1, group.shape[1])
        np.testing.assert_allclose(shift[group], np.tile(values.mean(axis=0), (len(group), 1)))
    assert (scale[tokens.groups[0][:, 2]] == 1).all()
    np.testing.assert_allclose(scale[tokens.groups[0][:, 1]], rows[:, tokens.groups[0][:, 1]].std())
