"""Controls that put networks together: every part is a training network's own, or an untrained one's."""

from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from bases import basis_of
from pydantic import TypeAdapter
from scipy import stats

from dwf_steps.architectures import build
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.generators import AnyGenerator
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.layers import by_layer, by_unit, first_layer
from dwf_steps.generators.registry import implementation_of
from dwf_steps.generators.samples import Samples
from dwf_steps.pipeline.settings.generate import Decode
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.row_facts import ATTRIBUTE, RowFacts
from dwf_steps.storage.stacked import StackedNetworks

N, HELD_OUT = 6, 2
MLP: dict[str, Any] = {"kind": "mlp", "widths": [4, 3, 5, 2]}
LAYERS = {"layers.0": 3, "layers.1": 5, "layers.2": 2}  # units
# What response coordinates look like: one entry a layer, its units first.
RESPONSES = Layout.of({f"{name}.responses": (units, 7) for name, units in LAYERS.items()})


def weights() -> Layout:
    """Return the layout of a weight matrix: parameters by name in order."""
    shapes = {entry.name: entry.shape for entry in build_of(MLP).layout.entries}
    return Layout.of(dict(sorted(shapes.items())))


def build_of(architecture: dict[str, Any]) -> Any:
    return build(TypeAdapter(ArchitectureConfig).validate_python(architecture))


def training_of(
    path: Path, layout: Layout, components: int | None = 3, architecture: dict[str, Any] = MLP
) -> TrainingNetworks:
    """Return training networks with random rows, and two held-out ones beside them."""
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(N + HELD_OUT)]
    matrix = WeightMatrix.create(path, layout, names, architecture)
    rows = np.random.default_rng(0).normal(size=(N + HELD_OUT, layout.size)).astype(np.float32)
    matrix.array[:] = rows
    return TrainingNetworks(basis_of(rows.astype(np.float64), components, HELD_OUT), path)


def sampled(training: TrainingNetworks, kind: str, samples: int = 40, **settings: Any) -> Samples:
    sampling = {"samples": samples, "seed": settings.pop("seed", 0)}
    raw = {"kind": kind, "sampling": sampling, **settings}
    config = TypeAdapter(AnyGenerator).validate_python(raw)
    return implementation_of(config, Generator).sample(training, Tools())


def decoded(training: TrainingNetworks, samples: Samples) -> np.ndarray:
    blocks = [decode_block(samples, training.matrix, columns) for columns in training.matrix.column_blocks()]
    return np.concatenate(blocks, axis=1)


def generated(training: TrainingNetworks, kind: str, **settings: Any) -> np.ndarray:
    return decoded(training, sampled(training, kind, **settings))


def sources(training: TrainingNetworks, networks: np.ndarray) -> np.ndarray:
    """Return which training network each weight of networks (k, d) is, (k, d)."""
    differences = np.abs(networks[:, None] - training.matrix.read()[None, :N])
    assert differences.min(axis=1).max() < 1e-6
    return differences.argmin(axis=1)


def parts(layout: Layout) -> dict[str, dict[str, np.ndarray]]:
    """Return the columns of every layer and of every unit, found entry by entry."""
    layers: dict[str, list[np.ndarray]] = {}
    units: dict[str, list[np.ndarray]] = {}
    for entry in layout.entries:
        columns = np.arange(entry.offset, entry.offset + entry.size).reshape(entry.shape)
        module = ".".join(entry.name.split(".")[:-1])
        layers.setdefault(module, []).append(columns.ravel())
        for i in range(entry.shape[0]):
            units.setdefault(f"{module} {i}", []).append(columns[i].ravel())
    joined = [{name: np.concatenate(found) for name, found in each.items()} for each in (layers, units)]
    return dict(zip(("layer", "unit"), joined, strict=True))


@pytest.mark.parametrize("components", [None, 3])
@pytest.mark.parametrize("space", ["weights", "responses"])
@pytest.mark.parametrize("by", ["layer", "unit"])
def test_every_part_is_one_training_networks_and_all_parts_are_of_different_ones(
    tmp_path: Path, by: str, space: str, components: int | None
) -> None:
    layout = weights() if space == "weights" else RESPONSES
    training = training_of(tmp_path / "matrix.zarr", layout, components)
    found = sources(training, generated(training, "bootstrap", by=by))
    whole = parts(layout)[by]
    assert len(whole) == {"layer": 3, "unit": 10}[by]
    chosen = np.stack([found[:, columns[0]] for columns in whole.values()], axis=1)
    for columns in whole.values():
        assert (found[:, columns] == found[:, columns[:1]]).all()
    # None twice before all were drawn.
    assert all(len(set(row)) == min(N, len(whole)) for row in chosen.tolist())
    assert len(np.unique(chosen, axis=0)) > 30


def test_every_training_network_is_drawn_equally_often(tmp_path: Path) -> None:
    training = training_of(tmp_path / "matrix.zarr", RESPONSES)
    found = sources(training, generated(training, "bootstrap", samples=3000))
    for columns in parts(RESPONSES)["layer"].values():
        assert stats.chisquare(np.bincount(found[:, columns[0]], minlength=N)).pvalue > 1e-3


@pytest.mark.parametrize("space", ["weights", "responses"])
def test_later_layers_of_one_network_follow_the_first_layer_of_another(tmp_path: Path, space: str) -> None:
    layout = weights() if space == "weights" else RESPONSES
    training = training_of(tmp_path / "matrix.zarr", layout)
    found = sources(training, generated(training, "bootstrap", by="first_layer", samples=300))
    first, *later = parts(layout)["layer"].values()
    assert (found[:, first] == found[:, first[:1]]).all()
    rest = np.concatenate(later)
    assert (found[:, rest] == found[:, rest[:1]]).all()
    pairs = {tuple(pair) for pair in found[:, [first[0], rest[0]]].tolist()}
    assert pairs == {(a, b) for a in range(N) for b in range(N) if a != b}


@pytest.mark.parametrize("space", ["weights", "responses"])
def test_later_layers_are_drawn_at_a_temperature_of_their_own(tmp_path: Path, space: str) -> None:
    layout = weights() if space == "weights" else RESPONSES
    training = training_of(tmp_path / "matrix.zarr", layout)
    whole = generated(training, "bootstrap", by="layer", samples=5)
    mean = training.matrix.read()[:N].mean(axis=0, dtype=np.float64)
    drawn = sampled(training, "bootstrap", by="layer", samples=5)
    for scale in (0.0, 0.5):
        found = decoded(training, replace(drawn, later_scale=scale))
        first, *later = parts(layout)["layer"].values()
        np.testing.assert_array_equal(found[:, first], whole[:, first])
        rest = np.concatenate(later)
        expected = mean[rest] + scale * (whole[:, rest] - mean[rest])
        np.testing.assert_allclose(found[:, rest], expected, atol=1e-6)


def test_later_layers_deviate_from_the_mean_of_the_zoo_that_is_asked_for(tmp_path: Path) -> None:
    training = training_of(tmp_path / "matrix.zarr", weights())
    zoos = np.array(["one", "one", "other", "other", "one", "other"])
    facts = [asdict(RowFacts(zoo=str(zoo))) for zoo in [*zoos, "one", "other"]]
    zarr.open_array(tmp_path / "matrix.zarr").attrs[ATTRIBUTE] = facts
    rows = training.matrix.read()[:N].astype(np.float64)
    drawn = sampled(training, "bootstrap", by="layer", samples=4)
    whole = decoded(training, drawn)
    asked = np.array(["other", "one", "one", "other"])
    found = decoded(training, replace(drawn, later_scale=0.5, zoos=asked))
    first, *later = parts(weights())["layer"].values()
    np.testing.assert_array_equal(found[:, first], whole[:, first])
    rest = np.concatenate(later)
    mean = np.stack([rows[zoos == zoo].mean(axis=0) for zoo in asked])[:, rest]
    np.testing.assert_allclose(found[:, rest], mean + 0.5 * (whole[:, rest] - mean), atol=1e-6)


def test_the_first_layer_is_the_one_that_sees_the_inputs(tmp_path: Path) -> None:
    resnet = {"kind": "resnet20", "classes": 10, "image_size": 8, "width_multiplier": 0.25}
    for architecture, expected in ((MLP, "layers.0"), (resnet, "conv1")):
        shapes = {entry.name: entry.shape for entry in build_of(architecture).layout.entries}
        layout = Layout.of(dict(sorted(shapes.items())))
        path = tmp_path / f"{expected}.zarr"
        WeightMatrix.create(path, layout, [Row("one"), Row("two")], architecture)
        basis = basis_of(np.random.default_rng(0).normal(size=(2, 3)), 1)
        assert first_layer(TrainingNetworks(basis, path).architecture) == expected


def test_parameters_of_a_module_share_its_units_and_shapes_may_differ() -> None:
    layout = Layout.of(
        {"token": (1, 1, 2), "head.in_weight": (3, 2), "head.out.weight": (2, 2), "head.bias": (3,), "s": ()}
    )
    assert by_layer(layout).tolist() == [0] * 2 + [1] * 6 + [2] * 4 + [1] * 3 + [3]
    assert by_unit(layout).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 1, 2, 3, 6]


def untrained(layout: Layout, samples: int, seed: int = 0) -> np.ndarray:
    """Return the rows of the untrained networks."""
    network = build_of(MLP)
    states = [
        network.initial_state("default", torch_generator("untrained layers", seed, i)) for i in range(samples)
    ]
    return np.stack([np.concatenate([s[e.name].numpy().ravel() for e in layout.entries]) for s in states])


@pytest.mark.parametrize("components", [None, 3])
@pytest.mark.parametrize(("layers", "replaced"), [("first", ["layers.0"]), (["layers.2", "layers.0"],) * 2])
def test_untrained_layers_are_drawn_as_a_new_networks_and_the_others_are_the_gaussians(
    tmp_path: Path, layers: Any, replaced: list[str], components: int | None
) -> None:
    training = training_of(tmp_path / "matrix.zarr", weights(), components)
    found = generated(training, "untrained", layers=layers, scale=0.5, samples=20_000)
    of_layers = parts(weights())["layer"]
    inside = np.concatenate([of_layers[name] for name in replaced])
    np.testing.assert_allclose(found[:50, inside], untrained(weights(), 50)[:, inside], atol=1e-6)
    rows = training.matrix.read()[:N].astype(np.float64)
    outside = np.setdiff1d(np.arange(weights().size), inside)
    if components is not None:
        centred = rows - rows.mean(axis=0)
        axes = np.linalg.svd(centred, full_matrices=False)[2][:components]
        rows = rows.mean(axis=0) + centred @ axes.T @ axes
    expected, scale = rows[:, outside], rows[:, outside].std(axis=0, ddof=1)
    np.testing.assert_allclose((found[:, outside].mean(axis=0) - expected.mean(axis=0)) / scale, 0, atol=0.03)
    covariance = np.cov(found[:, outside].T) / np.outer(scale, scale)
    np.testing.assert_allclose(covariance, 0.25 * np.cov(expected.T) / np.outer(scale, scale), atol=0.03)


@pytest.mark.parametrize("components", [None, 3])
def test_the_other_layers_may_be_a_training_networks_own(tmp_path: Path, components: int | None) -> None:
    training = training_of(tmp_path / "matrix.zarr", weights(), components)
    found = generated(training, "untrained", others="copy")
    of_layers = parts(weights())["layer"]
    outside = np.concatenate([of_layers["layers.1"], of_layers["layers.2"]])
    differences = np.abs(found[:, None, outside] - training.matrix.read()[None, :N, outside]).max(axis=2)
    assert differences.min(axis=1).max() < 1e-6
    assert set(differences.argmin(axis=1)) == set(range(N))
    first = of_layers["layers.0"]
    np.testing.assert_allclose(found[:, first], untrained(weights(), 40)[:, first], atol=1e-6)


def test_a_representation_says_what_untrained_networks_are_in_its_coordinates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coordinates of a layer here are its weights and biases, twice."""

    def encode(_: TrainingNetworks, networks: StackedNetworks[np.ndarray]) -> np.ndarray:
        rows = [
            np.concatenate([networks[f"{name}.weight"], networks[f"{name}.bias"][..., None]], axis=2) * 2
            for name in LAYERS
        ]
        return np.concatenate([row.reshape(networks.count, -1) for row in rows], axis=1)

    fan_in = {"layers.0": 4, "layers.1": 3, "layers.2": 5}
    layout = Layout.of({f"{name}.responses": (units, fan_in[name] + 1) for name, units in LAYERS.items()})
    training = training_of(tmp_path / "responses.zarr", layout)
    monkeypatch.setattr(TrainingNetworks, "encode", encode)
    found = generated(training, "untrained", samples=5)
    states = [
        build_of(MLP).initial_state("default", torch_generator("untrained layers", 0, i)) for i in range(5)
    ]
    for network, state in zip(found, states, strict=True):
        first = network[: 3 * 5].reshape(3, 5)
        np.testing.assert_allclose(first[:, :4], 2 * state["layers.0.weight"].numpy(), atol=1e-6)
        np.testing.assert_allclose(first[:, 4], 2 * state["layers.0.bias"].numpy(), atol=1e-6)


def test_an_unknown_layer_is_named_with_those_there_are(tmp_path: Path) -> None:
    training = training_of(tmp_path / "matrix.zarr", weights())
    with pytest.raises(InputError, match=r"layers: found 'layers\.7'.*layers\.0, layers\.1, layers\.2"):
        generated(training, "untrained", layers=["layers.0", "layers.7"])


@pytest.mark.parametrize("kind", ["bootstrap", "untrained"])
def test_more_samples_begin_with_the_same_ones_and_seeds_change_them(tmp_path: Path, kind: str) -> None:
    training = training_of(tmp_path / "matrix.zarr", weights())
    few, many = (generated(training, kind, samples=samples) for samples in (5, 12))
    np.testing.assert_allclose(many[:5], few, atol=1e-6)
    other = generated(training, kind, samples=5, seed=1)
    assert (np.abs(other - few) > 1e-4).any(axis=1).all()


def test_decoding_what_is_described_weight_by_weight_asks_for_the_memory_of_all_samples() -> None:
    zoo = SimpleNamespace(matrix=SimpleNamespace(memory_mb=64))

    def held(kind: str, raw: bool) -> float:
        config = TypeAdapter(AnyGenerator).validate_python({"kind": kind})
        known = {"block": 10, "generated_shard": 5, "n": 7, "item": 4, "FLOPS": 1e9, "READ": 1e6}
        sizes: Any = SimpleNamespace(**known, zoo=zoo, generator=config, g=30, d=1000, raw=raw)
        return Decode.work(sizes).held

    assert held("bootstrap", False) == held("untrained", False) == held("gaussian", True)
    assert held("bootstrap", False) - held("gaussian", False) == 4 * 30 * 1000
