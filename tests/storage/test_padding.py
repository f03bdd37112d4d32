"""A narrower network in the row of a wider one is the same network, with units that compute nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.padding import (
    Padding,
    Variant,
    copy_narrower,
    pad_array,
    read_narrower,
    variants_of,
    widest,
    write_narrower,
)
from dwf_steps.storage.stacked import StackedNetworks

OWN = Layout.of({"a.weight": (2, 3), "a.bias": (2,), "b.weight": (4, 2), "scale": ()})
WIDE = Layout.of({"a.weight": (5, 3), "a.bias": (5,), "b.weight": (4, 5), "scale": ()})
PADDING = Padding(OWN, WIDE)
ROWS = np.random.default_rng(0).normal(size=(6, OWN.size)).astype(np.float32)


def test_a_padded_row_holds_the_first_units_and_zeros() -> None:
    (padded,) = (array[0] for array in [PADDING.pad(ROWS[:1])])
    parts = {entry.name: padded[entry.columns].reshape(entry.shape) for entry in WIDE.entries}
    own = {entry.name: ROWS[0, entry.columns].reshape(entry.shape) for entry in OWN.entries}
    expected = np.zeros((4, 5))
    expected[:, :2] = own["b.weight"]
    np.testing.assert_array_equal(parts["b.weight"], expected)
    np.testing.assert_array_equal(parts["a.weight"], np.vstack([own["a.weight"], np.zeros((3, 3))]))
    np.testing.assert_array_equal(parts["a.bias"], [*own["a.bias"], 0, 0, 0])
    assert parts["scale"] == own["scale"]


def test_what_is_padded_and_cut_is_the_same_and_so_are_distances() -> None:
    padded = PADDING.pad(ROWS)
    np.testing.assert_array_equal(PADDING.cut(padded), ROWS)
    np.testing.assert_allclose(pdist(padded.astype(float)), pdist(ROWS.astype(float)), rtol=1e-12)
    same = Padding(WIDE, WIDE)
    np.testing.assert_array_equal(same.pad(padded), padded)


@pytest.mark.parametrize("step", [1, 4, 7, 100])
def test_column_by_column_the_rows_are_the_same(step: int) -> None:
    blocks = [slice(start, start + step) for start in range(0, WIDE.size, step)]
    parts = [PADDING.pad(ROWS[:, PADDING.own_columns(block)], block) for block in blocks]
    padded = np.concatenate(parts, axis=1)
    np.testing.assert_array_equal(padded, PADDING.pad(ROWS))
    cut = [PADDING.cut(padded[:, block], block) for block in blocks]
    np.testing.assert_array_equal(np.concatenate(cut, axis=1), ROWS)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (MLPConfig(widths=[6, 3, 4, 5]), MLPConfig(widths=[6, 5, 4, 5])),
        (
            MLPConfig(widths=[6, 3, 4, 5], activation="gelu"),
            MLPConfig(widths=[6, 3, 8, 5], activation="gelu"),
        ),
        (
            ResNetConfig(kind="resnet20", image_size=8, classes=4, width_multiplier=0.1),
            ResNetConfig(kind="resnet20", image_size=8, classes=4, width_multiplier=0.2),
        ),
    ],
)
def test_a_padded_network_computes_the_same_function(
    narrow: ArchitectureConfig, wide: ArchitectureConfig
) -> None:
    assert narrow.joined(wide) == wide == wide.joined(narrow)  # type: ignore[arg-type]
    small, large = build(narrow), build(wide)
    state = drawn(small)
    assert widest({"one": small.layout, "other": large.layout}) == large.layout
    own = {entry.name: entry.shape for entry in (*small.layout.entries,)}
    shapes = {name: tuple(array.shape) for name, array in large.initial_state("default", draws()).items()}
    padded = {name: pad_array(array[None].numpy(), shapes[name]) for name, array in state.items()}
    row = np.concatenate([state[name].numpy().ravel() for name in own])[None]
    by_row = Padding(small.layout, large.layout).pad(row)
    np.testing.assert_array_equal(
        by_row[0], np.concatenate([padded[entry.name].ravel() for entry in large.layout.entries])
    )
    inputs = torch.randn(7, narrow.features, generator=draws())
    outputs = [
        architecture.forward(StackedNetworks(networks), inputs)
        for architecture, networks in (
            (small, StackedNetworks.of_one(state)),
            (large, {name: torch.from_numpy(array) for name, array in padded.items()}),
        )
    ]
    assert outputs[0].std() > 0.01
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def drawn(architecture: Architecture) -> dict[str, torch.Tensor]:
    """Return a network whose norms and biases are not at their initial values."""
    noise = draws()
    return {
        name: array + 0.1 * torch.rand(array.shape, generator=noise) if array.is_floating_point() else array
        for name, array in architecture.initial_state("default", draws()).items()
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MLPConfig(widths=[6, 3, 5]), MLPConfig(widths=[6, 3, 3, 5])),
        (MLPConfig(widths=[6, 3, 5]), MLPConfig(widths=[6, 3, 4])),
        (MLPConfig(widths=[6, 3, 5]), MLPConfig(widths=[7, 3, 5])),
        (MLPConfig(widths=[6, 3, 5]), MLPConfig(widths=[6, 9, 5], activation="tanh")),
        (ResNetConfig(kind="resnet20", classes=4), ResNetConfig(kind="resnet20", classes=5)),
        (ResNetConfig(kind="resnet20", classes=4), ResNetConfig(kind="resnet18", classes=4)),
        (ResNetConfig(kind="resnet20", classes=4), MLPConfig(widths=[3072, 4])),
    ],
)
def test_other_kinds_depths_and_ends_are_not_joined(
    one: ArchitectureConfig, other: ArchitectureConfig
) -> None:
    assert one.joined(other) is None
    assert other.joined(one) is None


def test_each_layer_is_as_wide_as_the_widest_network_there() -> None:
    one, other = MLPConfig(widths=[6, 3, 9, 5]), MLPConfig(widths=[6, 7, 2, 5])
    joined = one.joined(other)
    assert joined is not None and joined.widths == [6, 7, 9, 5]
    layouts = {"one": build(one).layout, "other": build(other).layout}
    assert widest(layouts) == build(joined).layout


def test_layouts_of_other_parameters_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"zoo 'b': found networks of bias 2, but those of zoo 'a' are of bias"
    ):
        widest({"a": Layout.of({"bias": (2,), "more": (1,)}), "b": Layout.of({"bias": (2,)})})
    with pytest.raises(InputError, match="weight 2x1, but those of zoo 'a' are of weight 2"):
        widest({"a": Layout.of({"weight": (2,)}), "b": Layout.of({"weight": (2, 1)})})
    with pytest.raises(ValueError, match="weight 3 does not fit into one of weight 2"):
        Padding(Layout.of({"weight": (3,)}), Layout.of({"weight": (2,)}))


def test_of_responses_a_unit_has_all_its_coordinates_or_none() -> None:
    coordinates = Layout.of({"a.responses": (5, 7), "b.responses": (4, 6), "scale": ()})
    found = PADDING.of_responses(coordinates)
    assert [entry.shape for entry in found.own.entries] == [(2, 7), (4, 6), ()]
    assert found.present[:35].reshape(5, 7).all(axis=1).tolist() == [True] * 2 + [False] * 3
    assert not found.present[14:35].any() and found.present[35:].all()


def test_a_matrix_knows_which_of_its_zoos_are_narrower(tmp_path: Path) -> None:
    weights = WeightMatrix.create(tmp_path / "weights.zarr", WIDE, [Row("x")], {"kind": "wide"})
    assert read_narrower(weights) == {}
    narrow = Variant({"kind": "narrow"}, PADDING, {"mean": (2,), "count": ()})
    write_narrower(weights, {"small": narrow})
    coordinates = Layout.of({"a.responses": (5, 7), "b.responses": (4, 6), "scale": ()})
    responses = WeightMatrix.create(tmp_path / "responses.zarr", coordinates, [Row("x")], {"kind": "wide"})
    copy_narrower(weights, responses)
    assert read_narrower(WeightMatrix.open(weights.path)) == {"small": narrow}
    variants, numbers = variants_of(WeightMatrix.open(responses.path), ["small", "large", None, "small"])
    assert numbers.tolist() == [1, 0, 0, 1]
    assert [one.architecture["kind"] for one in variants] == ["wide", "narrow"]
    assert [one.padding.own.size for one in variants] == [5 * 7 + 4 * 6 + 1, 2 * 7 + 4 * 6 + 1]
    buffers = {"mean": np.arange(5), "count": np.array(3)}
    assert {name: array.tolist() for name, array in variants[1].cut_buffers(buffers).items()} == {
        "mean": [0, 1],
        "count": 3,
    }
