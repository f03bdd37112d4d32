"""Layouts say where each parameter lies in a row, and lose nothing."""

import json

import numpy as np
import pytest

from dwf_steps.storage.layout import Layout

SHAPES = {"conv": (2, 3, 2), "weight": (4, 5), "bias": (4,)}
LAYOUT = Layout.of(SHAPES)


def parameters(n: int = 3) -> dict[str, np.ndarray]:
    draws = np.random.default_rng(0)
    return {name: draws.normal(size=(n, *shape)) for name, shape in SHAPES.items()}


def test_parameters_lie_one_after_the_other() -> None:
    assert [(e.name, e.offset, e.size) for e in LAYOUT.entries] == [
        ("conv", 0, 12),
        ("weight", 12, 20),
        ("bias", 32, 4),
    ]
    assert LAYOUT.size == 36
    assert LAYOUT.entries[1].columns == slice(12, 32)


@pytest.mark.parametrize("n", [1, 3])
def test_rows_are_split_into_parameters_in_row_major_order(n: int) -> None:
    rows = np.concatenate([parameters(n)[name].reshape(n, -1) for name in SHAPES], axis=1)
    back = LAYOUT.unflatten(rows)
    assert list(back) == list(SHAPES)
    for name, array in parameters(n).items():
        np.testing.assert_array_equal(back[name], array)


def test_no_rows_are_no_networks() -> None:
    found = LAYOUT.unflatten(np.empty((0, LAYOUT.size)))
    assert {name: array.shape for name, array in found.items()} == {
        name: (0, *shape) for name, shape in SHAPES.items()
    }


def test_a_layout_survives_json() -> None:
    assert Layout.from_json(json.loads(json.dumps(LAYOUT.to_json()))) == LAYOUT
