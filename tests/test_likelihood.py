"""The likelihood step finds the densities of flows that are known in closed form."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bases import basis_of
from scipy.stats import multivariate_normal
from torch import Tensor, nn

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.flow import Likelihood as Asked
from dwf_steps.config.generators.velocity import VelocityConfig
from dwf_steps.flow.condition import KnownValues
from dwf_steps.flow.fields import ConditionalField, VelocityField
from dwf_steps.flow.likelihood import log_density
from dwf_steps.flow.source import Source
from dwf_steps.flow.velocity import ConditionEmbedding, VelocityMLP
from dwf_steps.generators.flow import FlowModel, integrate_flow, source_of
from dwf_steps.generators.latents import Latents
from dwf_steps.likelihood import Likelihood, likelihood
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.matrix import Row, WeightMatrix

CPU = torch.device("cpu")
N, HELD_OUT, STD = 8, 3, 0.7
VELOCITY = VelocityConfig(width=8, time_embedding=4)


def run(
    folder: Path, components: int | None, drift: float, **settings: Any
) -> tuple[pd.DataFrame, FlowModel]:
    """Return the table of a flow whose velocity is ``drift`` everywhere, and the flow."""
    architecture = build(MLPConfig(widths=[4, 5, 3]))
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(N + HELD_OUT)]
    description = architecture.config.model_dump()
    matrix = WeightMatrix.create(folder / "weights.zarr", architecture.layout, names, description)
    matrix.array[:] = np.random.default_rng(0).normal(0.2, 1, size=matrix.array.shape)
    config = FlowConfig.model_validate(
        {
            "kind": "flow",
            "source_std": STD,
            "velocity": VELOCITY,
            "sampling": {"samples": 5, "steps": 3},
            "likelihood": {"networks": 4, "divergence": "exact", "steps": 3},
            **settings,
        }
    )
    basis = basis_of(matrix.read().astype(np.float64), components, HELD_OUT)
    basis.save(folder / "basis.npz")
    latents = Latents.of(basis, matrix)
    k = latents.points.shape[1]
    velocity = VelocityMLP(k, VELOCITY).eval()
    nn.init.constant_(velocity.output.bias, drift)
    source = source_of(config, basis, matrix, latents)
    known = None
    if config.condition is not None:
        velocity = VelocityMLP(k, VELOCITY, ConditionEmbedding).eval()
        nn.init.constant_(velocity.output.weight, drift)
        known = KnownValues("loss", torch.arange(5.0).double())
    flow = FlowModel.of(velocity, latents, source, known)
    flow.save(folder / "model.safetensors", VELOCITY)
    integrate_flow(flow, config, basis, CPU).save(folder / "latents.npz")
    paths = (folder / name for name in ("model.safetensors", "basis.npz", "weights.zarr", "latents.npz"))
    likelihood(Likelihood(flow=config), *paths, folder / "likelihood.csv")
    return pd.read_csv(folder / "likelihood.csv"), flow


def coordinates(folder: Path, components: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates of the networks in the table, and the components (c, d) that they are along."""
    rows = WeightMatrix.open(folder / "weights.zarr").read().astype(np.float64)
    centred = rows - rows[:N].mean(axis=0)
    stored = np.load(folder / "latents.npz")
    chosen = [0, 2, 4, 6, N, N + 1, N + 2]
    if components is None:
        return np.concatenate([centred[chosen], stored["offsets"][[0, 1, 2, 3]]]), np.eye(rows.shape[1])
    directions = np.load(folder / "basis.npz")["decoder"] @ centred[:N]
    return np.concatenate([centred[chosen] @ directions.T, stored["latents"][[0, 1, 2, 3]]]), directions


@pytest.mark.parametrize("components", [3, None])
def test_of_the_standard_source(tmp_path: Path, components: int | None) -> None:
    table, flow = run(tmp_path, components, drift=0.4)
    z = coordinates(tmp_path, components)[0] / float(flow.scale)
    truth = multivariate_normal(np.full(z.shape[1], 0.4), STD**2 * np.eye(z.shape[1])).logpdf(z)
    assert table.kind.tolist() == ["training"] * 4 + ["held_out"] * 3 + ["generated"] * 4
    assert table.network.tolist()[3:6] == ["seed-6", "seed-8", "seed-9"]
    np.testing.assert_allclose(table.log_density, truth, rtol=1e-4, atol=1e-3)


def test_of_untrained_networks_as_the_source(tmp_path: Path) -> None:
    table, flow = run(tmp_path, 3, drift=0.4, source="kaiming")
    own, directions = coordinates(tmp_path, 3)
    scale, rows = float(flow.scale), WeightMatrix.open(tmp_path / "weights.zarr").read()[:N]
    fan_ins = {"layers.0.weight": 4, "layers.1.weight": 5}
    variances = np.zeros(rows.shape[1])
    for entry in build(MLPConfig(widths=[4, 5, 3])).layout.entries:
        if entry.name in fan_ins:
            variances[entry.columns] = 2 / fan_ins[entry.name]
    mean = -directions @ rows.mean(axis=0, dtype=np.float64) / scale + 0.4
    covariance = STD**2 * (directions * variances) @ directions.T / scale**2
    truth = multivariate_normal(mean, covariance).logpdf(own / scale)
    np.testing.assert_allclose(table.log_density, truth, rtol=1e-4, atol=1e-3)


class Untold(nn.Module):
    """A conditional network that is never given a condition."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        found: Tensor = self.network(torch.cat([t, torch.full_like(t, torch.nan)], dim=1), x)
        return found


def test_of_a_conditional_flow_they_are_those_of_the_unconditional_one(tmp_path: Path) -> None:
    table, flow = run(tmp_path, 3, drift=0.4, condition={"variable": "loss"})
    z = torch.from_numpy(coordinates(tmp_path, 3)[0] / float(flow.scale)).float()
    config = Asked(networks=4, divergence="exact", steps=3)
    expected = log_density(VelocityField(Untold(flow.velocity)), z, config, Source(std=STD))
    np.testing.assert_allclose(table.log_density, expected.numpy(), rtol=1e-4, atol=1e-3)
    told = log_density(
        ConditionalField(flow.velocity, condition=torch.ones(1, 1)), z, config, Source(std=STD)
    )
    assert (told - expected).abs().max() > 0.01


def test_untrained_networks_have_no_density_over_their_zero_biases(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source: its points vary in only 35 of 43 directions"):
        run(tmp_path, None, drift=0.0, source="kaiming")
