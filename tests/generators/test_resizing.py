"""Flows over networks of one size draw networks of another."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from bases import basis_of

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.flow.condition import KnownValues
from dwf_steps.flow.fields import build_velocity
from dwf_steps.flow.source import STANDARD
from dwf_steps.flow.velocity import TimeEmbedding
from dwf_steps.generators.flow import FlowModel, draw, integrate_flow
from dwf_steps.generators.latents import Latents
from dwf_steps.generators.resizing import resized
from dwf_steps.geometry.canonical_form import CanonicalForm
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.matrix import Row, WeightMatrix

CPU = torch.device("cpu")
RELATIONAL = {"network": "relational_transformer", "width": 8, "depth": 1, "time_embedding": 8}
UNITS = {"network": "unit_transformer", "width": 8, "depth": 1, "heads": 2, "time_embedding": 8}
GEOMETRIES = ["euclidean", "normalized", "geometric"]


def matrix_of(folder: Path, widths: list[int]) -> WeightMatrix:
    architecture = build(MLPConfig(widths=widths))
    rows = [Row(f"seed-{i}") for i in range(6)]
    matrix = WeightMatrix.create(
        folder / "weights.zarr", architecture.layout, rows, architecture.config.model_dump()
    )
    matrix.array[:] = np.random.default_rng(0).normal(1.0, size=matrix.array.shape)
    return matrix


def flow_over(
    matrix: WeightMatrix,
    geometry: str,
    velocity: dict[str, object] = RELATIONAL,
    known: KnownValues | None = None,
) -> tuple[FlowModel, FlowConfig]:
    config = FlowConfig.model_validate(
        {
            "kind": "flow",
            "geometry": geometry,
            "velocity": velocity,
            "condition": known and {"variable": known.variable},
            "sampling": {"samples": 5, "solver": "euler", "steps": 4},
        }
    )
    basis = basis_of(matrix.read().astype(np.float64), None)
    latents = Latents.of(basis, matrix, by_unit=True, canonical=geometry != "euclidean")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        embedding = TimeEmbedding if known is None else known.embedding
        field = build_velocity(matrix.layout.size, config.velocity, latents.network, embedding)
        for parameter in field.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return FlowModel.of(field.eval(), latents, STANDARD, known), config


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(
    ("widths", "velocity"), [([4, 6, 3], RELATIONAL), ([4, 6, 5, 3], RELATIONAL), ([4, 6, 3], UNITS)]
)
def test_of_other_widths_and_depths(
    tmp_path: Path, geometry: str, widths: list[int], velocity: dict[str, object]
) -> None:
    model, config = flow_over(matrix_of(tmp_path, widths), geometry, velocity)
    others = [4, 9, 3] if len(widths) == 3 else [4, 3, 7, 2, 3]
    flow = resized(model, WeightMatrix.open(tmp_path / "weights.zarr"), others)
    rows, _ = draw(flow.model, config, CPU)
    networks = flow.network.layout.unflatten(rows)
    assert [networks[f"layers.{i}.weight"].shape[1:] for i in range(len(others) - 1)] == [
        (b, a) for a, b in pairwise(others)
    ]
    assert np.isfinite(rows).all()
    if geometry != "euclidean":
        training = WeightMatrix.open(tmp_path / "weights.zarr").networks(range(6))
        typical = np.exp(np.log(np.linalg.norm(training["layers.0.weight"], axis=2)).mean())
        norms = np.linalg.norm(networks["layers.0.weight"], axis=2)
        np.testing.assert_allclose(norms, typical, rtol=1e-5)


@pytest.mark.parametrize("velocity", [RELATIONAL, UNITS], ids=lambda velocity: velocity["network"])
def test_conditional_flows_are_asked_for_the_same_at_other_widths(
    tmp_path: Path, velocity: dict[str, object]
) -> None:
    known = KnownValues("loss", torch.arange(6.0, dtype=torch.float64))
    matrix = matrix_of(tmp_path, [4, 6, 3])
    model, config = flow_over(matrix, "euclidean", velocity, known)
    flow = resized(model, matrix, [4, 9, 3]).model
    (best, calls), (guided, twice) = (
        draw(flow, config.model_copy(update={"sampling": config.sampling.model_copy(update=asked)}), CPU)
        for asked in ({"condition": 0.0}, {"condition_weight": 1.0})
    )
    np.testing.assert_array_equal(best, draw(flow, config, CPU)[0])
    assert (calls, twice) == (4, 8) and np.abs(best - guided).max() > 1e-3


def test_hidden_units_share_what_is_known_of_a_weight(tmp_path: Path) -> None:
    matrix = matrix_of(tmp_path, [4, 6, 3])
    rows = matrix.read().astype(np.float64)
    own = matrix.layout.unflatten(rows)
    model, _ = flow_over(matrix, "euclidean")
    flow = resized(model, matrix, [4, 2, 3])
    shift = flow.network.layout.unflatten(flow.model.shift.numpy()[None])
    scale = flow.network.layout.unflatten(flow.model.scale.numpy()[None])
    for name, axes in (("layers.0.weight", (0, 1)), ("layers.0.bias", (0, 1)), ("layers.1.weight", (0, 2))):
        for unit in range(2):
            part = np.s_[0, :, unit] if name == "layers.1.weight" else np.s_[0, unit]
            np.testing.assert_allclose(shift[name][part], own[name].mean(axis=axes), rtol=1e-4)
            np.testing.assert_allclose(scale[name][part], own[name].std(axis=axes), rtol=1e-4)


@pytest.mark.parametrize("velocity", [RELATIONAL, UNITS])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_networks_of_the_flows_own_size_are_the_flows(
    tmp_path: Path, geometry: str, velocity: dict[str, object]
) -> None:
    # In canonical form biases and scales know a unit's place, which other widths forget: all are alike.
    matrix = matrix_of(tmp_path, [4, 6, 3])
    model, config = flow_over(matrix, geometry, velocity)
    if isinstance(model.form, CanonicalForm):
        hidden = next(entry for entry in matrix.layout.entries if entry.name == "layers.0.bias")
        model.form.shift[hidden.columns], model.form.scale[hidden.columns] = 0.25, 2.0
        model.form.factors[:] = 1.5
    basis = basis_of(matrix.read().astype(np.float64), None)
    samples = integrate_flow(model, config, basis, CPU)
    expected = samples.offsets + matrix.read().mean(axis=0, dtype=np.float64)
    rows, _ = draw(resized(model, matrix, [4, 6, 3]).model, config, CPU)
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    matrix = matrix_of(tmp_path, [4, 6, 3])
    model, _ = flow_over(matrix, "euclidean", UNITS)
    with pytest.raises(InputError, match="only the width of a single hidden layer may differ"):
        resized(model, matrix, [4, 6, 5, 3])
    model, _ = flow_over(matrix, "euclidean", UNITS | {"positions": True})
    with pytest.raises(InputError, match="with positions"):
        resized(model, matrix, [4, 5, 3])
    model, _ = flow_over(matrix, "euclidean")
    with pytest.raises(InputError, match="4 inputs and 2 outputs"):
        resized(model, matrix, [4, 6, 2])
    with pytest.raises(InputError, match="hidden layer that follows"):
        resized(model, matrix, [4, 6, 6, 3])
