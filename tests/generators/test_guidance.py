"""Guidance: the gradient is the loss's own, in every geometry and subspace, and lowers it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bases import basis_of
from torch import Tensor, nn
from torch.nn import functional as F

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.flow_sampling import Guidance
from dwf_steps.datasets.splits import Split
from dwf_steps.flow.fields import VelocityField
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.source import STANDARD
from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.flow import FlowModel, integrate_flow
from dwf_steps.generators.guidance import GuidedField, decoder_of
from dwf_steps.generators.latents import Latents
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.subspace.basis import Basis

ARCHITECTURE = build(MLPConfig(widths=[4, 6, 3]))
N, CPU = 8, torch.device("cpu")
KINDS = ["raw", "subspace", "normalized", "geometric"]


class Still(nn.Module):
    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return torch.zeros_like(x) * t


def examples(numbers: bool = False) -> Split:
    draws = np.random.default_rng(1)
    inputs = draws.normal(size=(60, 4)).astype(np.float32)
    if numbers:
        return Split(inputs, draws.random(60).astype(np.float32), "regression", 0.1)
    return Split(inputs, draws.integers(3, size=60))


def setting(folder: Path, kind: str) -> tuple[WeightMatrix, Basis, FlowModel, FlowConfig]:
    rows = [Row(f"seed-{i}") for i in range(N)]
    description = ARCHITECTURE.config.model_dump()
    matrix = WeightMatrix.create(folder / "weights.zarr", ARCHITECTURE.layout, rows, description)
    matrix.array[:] = np.random.default_rng(0).normal(size=matrix.array.shape)
    basis = basis_of(matrix.read().astype(np.float64), 5 if kind == "subspace" else None)
    latents = Latents.of(basis, matrix, canonical=kind in ("normalized", "geometric"))
    model = FlowModel.of(Still(), latents, STANDARD)
    geometry = kind if kind in ("normalized", "geometric") else "euclidean"
    sampling = {"samples": 12, "solver": "euler", "steps": 20, "guidance": {"scale": 3.0, "batch_size": 60}}
    config = FlowConfig.model_validate({"kind": "flow", "geometry": geometry, "sampling": sampling})
    return matrix, basis, model, config


def guided(
    matrix: WeightMatrix, basis: Basis, model: FlowModel, config: FlowConfig, train: Split, **change: object
) -> GuidedField:
    assert config.sampling.guidance is not None
    guidance = Guidance.model_validate(config.sampling.guidance.model_dump() | change)
    network, decode = NetworkSpec(matrix.layout, ARCHITECTURE), decoder_of(model, basis, matrix, CPU)
    return GuidedField(model.field(config), network, decode, train, guidance, 0)


def losses(rows: np.ndarray, train: Split) -> Tensor:
    parts = ARCHITECTURE.layout.unflatten(rows.astype(np.float32)).tensors()
    logits = ARCHITECTURE.forward(parts, torch.from_numpy(train.inputs))
    targets = torch.from_numpy(train.targets)
    return torch.stack([F.cross_entropy(own, targets) for own in logits])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_decoded_is_what_becomes_a_file(tmp_path: Path, kind: str) -> None:
    matrix, basis, model, config = setting(tmp_path, kind)
    samples = integrate_flow(model, config, basis, CPU)
    written = decode_block(samples, matrix, slice(0, matrix.layout.size))
    draws = torch.Generator().manual_seed(3)
    x = torch.randn(12, model.dimension, generator=draws)
    assert decoder_of(model, basis, matrix, CPU)(x).shape == written.shape
    ends: list[Tensor] = []

    def remember(field: VelocityField) -> VelocityField:
        class Last(nn.Module):
            def forward(self, t: Tensor, x: Tensor) -> Tensor:
                ends.append(x)
                return torch.zeros_like(x) * t

        return VelocityField(Last(), field.prediction, field.manifold)

    samples = integrate_flow(model, config, basis, CPU, remember)
    written = decode_block(samples, matrix, slice(0, matrix.layout.size))
    found = decoder_of(model, basis, matrix, CPU)(ends[-1]).numpy()
    np.testing.assert_allclose(found, written, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_finite_differences(tmp_path: Path, kind: str) -> None:
    matrix, basis, model, config = setting(tmp_path, kind)
    train, decode = examples(), decoder_of(model, basis, matrix, CPU)
    field = guided(matrix, basis, model, config, train)
    x = torch.randn(3, model.dimension, generator=torch.Generator().manual_seed(2))
    x = model.form.manifold.project(x)
    gradient, h = field.gradient(x), 3e-3
    expected = torch.empty_like(gradient)
    for k in range(model.dimension):
        step = torch.zeros(model.dimension)
        step[k] = h
        ahead, behind = (losses(decode(x + s).numpy(), train) for s in (step, -step))
        expected[:, k] = (ahead - behind) / (2 * h)
    error = (gradient - expected).norm(dim=1) / expected.norm(dim=1)
    assert error.max() < 0.05  # kinks of ReLU, rounding


@pytest.mark.parametrize("kind", KINDS)
def test_guided_networks_have_lower_losses_and_stay_on_the_manifold(tmp_path: Path, kind: str) -> None:
    matrix, basis, model, config = setting(tmp_path, kind)
    train = examples()

    def steer(field: VelocityField) -> GuidedField:
        own = guided(matrix, basis, model, config, train)
        x = torch.randn(4, model.dimension)
        x = field.manifold.project(x)
        velocity = own(torch.zeros(4, 1), x)
        torch.testing.assert_close(field.manifold.tangent(x, velocity), velocity, rtol=1e-4, atol=1e-4)
        return own

    everything = slice(0, matrix.layout.size)
    plain, better = (
        decode_block(integrate_flow(model, config, basis, CPU, s), matrix, everything) for s in (None, steer)
    )
    assert (losses(better, train) < losses(plain, train)).all()


def test_objectives_of_ones_own_and_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, basis, model, config = setting(tmp_path, "raw")
    code = "def small(outputs, targets):\n    return outputs.square().mean((1, 2))\n"
    (tmp_path / "my_objectives.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    x = torch.randn(3, model.dimension)
    own = guided(matrix, basis, model, config, examples(), objective="my_objectives:small").gradient(x)
    usual = guided(matrix, basis, model, config, examples()).gradient(x)
    assert own.isfinite().all() and not torch.allclose(own, usual)
    of_numbers = guided(matrix, basis, model, config, examples(numbers=True)).gradient(x)
    assert of_numbers.isfinite().all() and not torch.allclose(of_numbers, usual)
    with pytest.raises(InputError, match=r"guidance.objective: my_objectives:none cannot be imported"):
        guided(matrix, basis, model, config, examples(), objective="my_objectives:none")


def test_examples_are_drawn_by_the_samples_seed(tmp_path: Path) -> None:
    matrix, basis, model, config = setting(tmp_path, "raw")
    x = torch.randn(3, model.dimension)
    fields = [guided(matrix, basis, model, config, examples(), batch_size=5) for _ in range(2)]
    first, second = fields[0].gradient(x), fields[0].gradient(x)
    assert torch.equal(first, fields[1].gradient(x))
    assert not torch.equal(first, second)  # other examples at every evaluation
