"""Every weight belongs to one unit, and units share their statistics."""

import numpy as np
import pytest

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.flow.units import UnitTokens
from dwf_steps.storage.layout import Layout


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


def test_a_constant_that_float32_rounds_has_deviation_one() -> None:
    rows = np.full((40, 2), 0.1, np.float32)
    rows[:, 1] += np.float32(1e-3) * np.arange(40, dtype=np.float32)
    scale = UnitTokens((np.arange(2)[None],)).statistics(rows)[1]
    assert scale[0] == 1
    np.testing.assert_allclose(scale[1], rows[:, 1].std(dtype=np.float64))


PARAMETERS = ("norm.weight", "norm.bias")
# As matrices of responses have it: layers in execution order, then the parameters that are kept.
RESPONSES = Layout.of({"a.responses": (3, 4), "b.responses": (2, 5), "norm.weight": (3,), "norm.bias": (3,)})


def test_among_responses_a_token_is_a_units_coordinates_and_what_is_kept_is_one_token() -> None:
    tokens = UnitTokens.of_responses(RESPONSES, PARAMETERS)
    first, outputs, rest = tokens.groups
    np.testing.assert_array_equal(first, np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(outputs, np.arange(12, 22).reshape(2, 5))
    np.testing.assert_array_equal(rest, np.arange(22, 28)[None])
    assert tokens.size == RESPONSES.size
    assert tokens.placed == {1}, "outputs are told apart: classes are not exchangeable"
    assert UnitTokens.of_responses(RESPONSES, PARAMETERS, positions=True).placed == {0, 1, 2}


def test_units_that_are_placed_have_statistics_of_their_own() -> None:
    rows = np.random.default_rng(0).normal(size=(30, RESPONSES.size)) + np.arange(RESPONSES.size)
    shared, own = (UnitTokens.of_responses(RESPONSES, PARAMETERS, place) for place in (False, True))
    shift, scale = shared.statistics(rows)
    hidden = rows[:, :12].reshape(90, 4)
    np.testing.assert_allclose(shift[:12], np.tile(hidden.mean(axis=0), 3))
    np.testing.assert_allclose(scale[:12], np.tile(hidden.std(axis=0), 3))
    np.testing.assert_allclose(shift[12:], rows[:, 12:].mean(axis=0))
    np.testing.assert_allclose(scale[12:], rows[:, 12:].std(axis=0))
    for found, expected in zip(own.statistics(rows), (rows.mean(axis=0), rows.std(axis=0)), strict=True):
        np.testing.assert_allclose(found, expected)


def test_a_layer_alone_keeps_its_tokens_with_columns_counted_from_zero() -> None:
    tokens = UnitTokens.of_responses(RESPONSES, PARAMETERS)
    hidden = tokens.within(np.arange(12))
    np.testing.assert_array_equal(hidden.groups, [np.arange(12).reshape(3, 4)])
    assert not hidden.placed
    outputs = tokens.within(np.arange(12, 22))
    np.testing.assert_array_equal(outputs.groups, [np.arange(10).reshape(2, 5)])
    assert outputs.placed == {0}


def test_among_weights_a_first_layer_alone_is_what_comes_into_its_units() -> None:
    layout = build(MLPConfig(widths=[4, 6, 3])).layout
    columns = np.concatenate(
        [np.arange(layout.size)[e.columns] for e in layout.entries if e.module == "layers.0"]
    )
    (group,) = tokens_of([4, 6, 3]).within(np.sort(columns)).groups
    row = np.arange(layout.size)
    weights = {name: array[0] for name, array in layout.unflatten(row[None]).items()}
    for unit, own in enumerate(np.sort(columns)[group]):
        assert sorted(own) == sorted([*weights["layers.0.weight"][unit], weights["layers.0.bias"][unit]])
