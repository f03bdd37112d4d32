"""Flows as generators: latents of unit variance in, whole networks out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bases import basis_of
from torch import nn

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.velocity import UnitTransformerConfig, VelocityConfig
from dwf_steps.flow.source import STANDARD, Source
from dwf_steps.flow.transformer import UnitTransformer
from dwf_steps.flow.velocity import VelocityMLP
from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.flow import FlowModel, integrate_flow
from dwf_steps.generators.latents import Latents
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix

CPU = torch.device("cpu")
N, HELD_OUT, D = 6, 2, 10
VELOCITY = {"width": 16, "time_embedding": 8}


def matrix_of(path: Path) -> tuple[np.ndarray, WeightMatrix]:
    """Return float64 training rows, and the matrix that holds them and two held-out rows."""
    rows = (2 + 3 * np.random.default_rng(0).normal(size=(N + HELD_OUT, D))).astype(np.float32)
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(N + HELD_OUT)]
    matrix = WeightMatrix.create(path, Layout.of({"weight": (D,)}), names, {})
    matrix.array[:] = rows
    return rows[:N].astype(np.float64), matrix


def flow(**settings: Any) -> FlowConfig:
    sampling = {"samples": 20, "steps": 2, **settings.pop("sampling", {})}
    return FlowConfig.model_validate({"kind": "flow", "velocity": VELOCITY, "sampling": sampling, **settings})


def model_of(dimension: int, scale: float = 2.0, still: bool = False) -> FlowModel:
    """Return a model with random weights, or one whose velocity is zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        velocity = VelocityMLP(dimension, VelocityConfig.model_validate(VELOCITY))
        if not still:
            nn.init.normal_(velocity.output.weight)
    scale_of_target = torch.tensor(scale, dtype=torch.float64)
    return FlowModel(velocity.eval(), torch.tensor(0.0), scale_of_target, dimension, STANDARD)


@pytest.mark.parametrize("components", [None, 1, 3, N - 1])
def test_latents_have_unit_variance_and_scale_back_to_coordinates(
    tmp_path: Path, components: int | None
) -> None:
    rows, matrix = matrix_of(tmp_path / "weights.zarr")
    basis = basis_of(rows, components)
    latents = Latents.of(basis, matrix)
    assert latents.points.dtype == torch.float32
    assert latents.points.var(dim=0, correction=1).mean().item() == pytest.approx(1, rel=1e-6)
    expected = rows - rows.mean(axis=0) if components is None else basis.coordinates
    np.testing.assert_allclose(float(latents.scale) * latents.points.numpy(), expected, rtol=1e-5, atol=1e-5)


ZOOS = np.array([0, 1, 1, 0, 1, 0])


@pytest.mark.parametrize("components", [1, 3, N - 1])
def test_latents_of_several_zoos_have_zero_mean_and_unit_variance_in_each(
    tmp_path: Path, components: int
) -> None:
    rows, matrix = matrix_of(tmp_path / "weights.zarr")
    rows[ZOOS == 1] = 100 + 5 * rows[ZOOS == 1]
    basis = basis_of(rows, components)
    latents = Latents.of(basis, matrix, zoos=ZOOS)
    for zoo in range(2):
        own = latents.points[zoo == ZOOS].double()
        torch.testing.assert_close(own.mean(dim=0), torch.zeros(components).double(), rtol=0, atol=1e-6)
        assert own.var(dim=0, correction=1).mean().item() == pytest.approx(1, rel=1e-6)
    model = FlowModel.of(nn.Identity(), latents, STANDARD)
    back = model.coordinates(latents.points.double(), torch.from_numpy(ZOOS)).numpy()
    np.testing.assert_allclose(back, basis.coordinates, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("columns", [None, np.array([0, 2, 3, 7])])
def test_columns_that_a_zoos_networks_do_not_have_are_zero_and_do_not_enter_its_variance(
    tmp_path: Path, columns: np.ndarray | None
) -> None:
    rows, matrix = matrix_of(tmp_path / "weights.zarr")
    present = np.ones((2, D), bool)
    present[1, 7:] = False
    rows *= present[ZOOS]
    matrix.array[:N] = rows
    part = np.arange(D) if columns is None else columns
    latents = Latents.of(basis_of(rows, None), matrix, columns=part, zoos=ZOOS, present=present)
    assert not latents.points[ZOOS == 1][:, part >= 7].any()
    for zoo in range(2):
        own = latents.points[zoo == ZOOS][:, present[zoo, part]]
        assert own.var(dim=0, correction=1).mean().item() == pytest.approx(1, rel=1e-6)
    model = FlowModel.of(nn.Identity(), latents, STANDARD)
    back = model.coordinates(latents.points.double(), torch.from_numpy(ZOOS)).numpy()
    np.testing.assert_allclose((back + rows.mean(axis=0))[:, part], rows[:, part], rtol=1e-4, atol=1e-4)


def test_one_scale_keeps_the_shape_of_the_training_points(tmp_path: Path) -> None:
    rows, matrix = matrix_of(tmp_path / "weights.zarr")
    latents = Latents.of(basis_of(rows, N - 1), matrix)
    between = torch.cdist(latents.points, latents.points).numpy()
    expected = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.testing.assert_allclose(float(latents.scale) * between, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1 / 3])
def test_a_saved_model_gives_the_same_velocities(tmp_path: Path, scale: float) -> None:
    model = model_of(4, scale)
    path = tmp_path / "model.safetensors"
    model.save(path, VelocityConfig.model_validate(VELOCITY))
    loaded = FlowModel.load(path, CPU)
    draws = torch.Generator().manual_seed(1)
    t, x = torch.rand(7, 1, generator=draws), torch.randn(7, 4, generator=draws)
    assert torch.equal(loaded.velocity(t, x), model.velocity(t, x))
    assert model.velocity(t, x).abs().max() > 0.1
    assert loaded.scale == scale
    assert not loaded.velocity.training


def test_a_saved_model_starts_where_it_started(tmp_path: Path) -> None:
    source = Source(torch.arange(4.0), torch.arange(16.0).reshape(4, 4).T)
    path = tmp_path / "model.safetensors"
    replace(model_of(4), source=source).save(path, VelocityConfig.model_validate(VELOCITY))
    noise = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(FlowModel.load(path, CPU).source.at(noise), source.at(noise))


def test_a_model_is_saved_to_the_same_bytes_each_time(tmp_path: Path) -> None:
    for i in range(5):
        model_of(4).save(tmp_path / f"{i}.safetensors", VelocityConfig.model_validate(VELOCITY))
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_samples_repeat_with_their_seed_and_change_with_another(tmp_path: Path) -> None:
    rows, _ = matrix_of(tmp_path / "weights.zarr")
    basis = basis_of(rows, 3)
    first, again, other = (
        integrate_flow(model_of(3), flow(sampling={"seed": seed}), basis, CPU) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.latents, again.latents)
    np.testing.assert_array_equal(first.coefficients, again.coefficients)
    assert (first.latents != other.latents).all()


@pytest.mark.parametrize("samples", [1, 5, 200])
@pytest.mark.parametrize("components", [None, 3])
def test_as_many_networks_are_sampled_as_asked_for(
    tmp_path: Path, samples: int, components: int | None
) -> None:
    rows, matrix = matrix_of(tmp_path / "weights.zarr")
    model = model_of(components or D)
    drawn = integrate_flow(model, flow(sampling={"samples": samples}), basis_of(rows, components), CPU)
    networks = decode_block(drawn, matrix, slice(0, D))
    assert networks.shape == (samples, D)
    assert len(np.unique(networks, axis=0)) == samples


def test_sampling_does_not_touch_the_global_generator(tmp_path: Path) -> None:
    rows, _ = matrix_of(tmp_path / "weights.zarr")
    before = torch.get_rng_state()
    integrate_flow(model_of(3), flow(), basis_of(rows, 3), CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_still_flow_returns_its_source_in_units_of_the_target(tmp_path: Path) -> None:
    rows, _ = matrix_of(tmp_path / "weights.zarr")
    config = flow(source_std=0.5, sampling={"samples": 5000, "steps": 1})
    latents = integrate_flow(model_of(3, scale=4.0, still=True), config, basis_of(rows, 3), CPU).latents
    np.testing.assert_allclose(latents.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(np.cov(latents.T), 4 * np.eye(3), atol=0.3)


def test_latents_are_decoded_through_the_basis(tmp_path: Path) -> None:
    rows, matrix = matrix_of(tmp_path / "weights.zarr")
    basis = basis_of(rows, 3)
    samples = integrate_flow(model_of(3), flow(), basis, CPU)
    mean = rows.mean(axis=0)
    expected = mean + samples.latents @ basis.decoder @ (rows - mean)
    np.testing.assert_allclose(decode_block(samples, matrix, slice(0, D)), expected, rtol=1e-4, atol=1e-4)


def test_without_a_subspace_samples_are_centred_raw_weights(tmp_path: Path) -> None:
    rows, matrix = matrix_of(tmp_path / "weights.zarr")
    config = flow(sampling={"samples": 4000, "steps": 1})
    samples = integrate_flow(model_of(D, scale=3.0, still=True), config, basis_of(rows, None), CPU)
    networks = decode_block(samples, matrix, slice(0, D))
    np.testing.assert_allclose(networks.mean(axis=0), rows.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(networks.std(axis=0), 3.0, rtol=0.05)


@pytest.mark.parametrize("damage", ["flip", "flip in the header", "truncate"])
def test_a_damaged_model_is_found_and_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.safetensors"
    model_of(3).save(path, VelocityConfig.model_validate(VELOCITY))
    FlowModel.load(path, CPU)
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        content = content[:-10]
    else:
        content[-10 if damage == "flip" else 12] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors: not the model that was written .* delete"):
        FlowModel.load(path, CPU)


def test_a_model_that_knows_units_is_saved_with_the_networks_they_are_of(tmp_path: Path) -> None:
    architecture = build(MLPConfig(widths=[4, 6, 3]))
    rows = [Row(f"seed-{i}") for i in range(N)]
    description = architecture.config.model_dump()
    matrix = WeightMatrix.create(tmp_path / "weights.zarr", architecture.layout, rows, description)
    matrix.array[:] = np.random.default_rng(0).normal(1, 2, size=matrix.array.shape)
    values = matrix.read().astype(np.float64)
    latents = Latents.of(basis_of(values, None), matrix, by_unit=True)
    back = latents.points.numpy() * latents.scale.numpy() + latents.shift.numpy()
    np.testing.assert_allclose(back, values - values.mean(axis=0), rtol=1e-4, atol=1e-5)
    assert latents.network is not None
    tokens = latents.network.tokens()
    assert latents.scale[tokens.groups[0]].std(dim=0).max() == 0  # the same for all units

    config = UnitTransformerConfig(network="unit_transformer", width=8, heads=2, time_embedding=4)
    velocity = UnitTransformer(tokens, config).eval()
    nn.init.normal_(velocity.outputs[0].weight)  # type: ignore[arg-type]
    model = FlowModel.of(velocity, latents, STANDARD)
    model.save(tmp_path / "model.safetensors", config)
    loaded = FlowModel.load(tmp_path / "model.safetensors", CPU)
    t, x = torch.rand(3, 1), torch.randn(3, matrix.layout.size)
    assert torch.equal(loaded.velocity(t, x), velocity(t, x))
    loaded.save(tmp_path / "again.safetensors", config)
    first, again = (tmp_path / f"{name}.safetensors" for name in ("model", "again"))
    assert again.read_bytes() == first.read_bytes()
    samples = integrate_flow(loaded, flow(), basis_of(values, None), CPU)
    assert decode_block(samples, matrix, slice(0, 10)).shape == (20, 10)
    with pytest.raises(InputError, match="use a subspace of method 'none'"):
        Latents.of(basis_of(values, 2), matrix, by_unit=True)


@pytest.mark.parametrize("geometry", ["normalized", "geometric"])
def test_a_model_of_networks_in_canonical_form_returns_weights(tmp_path: Path, geometry: str) -> None:
    architecture = build(MLPConfig(widths=[4, 6, 3]))
    description = architecture.config.model_dump()
    rows = [Row(f"seed-{i}") for i in range(N)]
    matrix = WeightMatrix.create(tmp_path / "weights.zarr", architecture.layout, rows, description)
    matrix.array[:] = np.random.default_rng(0).normal(1, 2, size=matrix.array.shape)
    values = matrix.read().astype(np.float64)
    latents = Latents.of(basis_of(values, None), matrix, canonical=True)
    torch.testing.assert_close(latents.form.manifold.project(latents.points), latents.points)

    network = VelocityMLP(architecture.layout.size, VelocityConfig.model_validate(VELOCITY)).eval()
    nn.init.normal_(network.output.weight)
    model = FlowModel.of(network, latents, STANDARD)
    model.save(tmp_path / "model.safetensors", VelocityConfig.model_validate(VELOCITY))
    loaded = FlowModel.load(tmp_path / "model.safetensors", CPU)
    config = flow(geometry=geometry, sampling={"solver": "euler"})
    samples, again = (integrate_flow(m, config, basis_of(values, None), CPU) for m in (model, loaded))
    found = samples.offsets + values.mean(axis=0)
    np.testing.assert_array_equal(again.offsets, samples.offsets)
    states = architecture.layout.unflatten(found)
    norms = np.linalg.norm(states["layers.0.weight"], axis=2)
    training = np.linalg.norm(architecture.layout.unflatten(values)["layers.0.weight"], axis=2)
    typical = np.exp(np.log(training).mean(axis=0))
    np.testing.assert_allclose(norms, np.tile(typical, (len(found), 1)), rtol=1e-4)  # canonical form
    with pytest.raises(InputError, match="use a subspace of method 'none'"):
        Latents.of(basis_of(values, 2), matrix, canonical=True)
