"""The source of untrained networks has their mean and covariance, in a subspace and without one."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from bases import basis_of

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.flow.source import STANDARD
from dwf_steps.generators.flow import Latents, source_of
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix

N, WIDTHS = 7, [5, 4, 3]
KAIMING = FlowConfig(kind="flow", source="kaiming")


def zoo(path: Path) -> tuple[np.ndarray, WeightMatrix]:
    architecture = build(MLPConfig(widths=WIDTHS))
    rows = [Row(f"seed-{i}") for i in range(N)]
    shapes = {entry.name: entry.shape for entry in architecture.layout.entries}
    layout = Layout.of(dict(sorted(shapes.items())))  # as files have it: biases first
    matrix = WeightMatrix.create(path, layout, rows, architecture.config.model_dump())
    matrix.array[:] = np.random.default_rng(0).normal(1, 2, size=matrix.array.shape)
    return matrix.read().astype(np.float64), matrix


def untrained(n: int) -> np.ndarray:
    """Draw networks of normal weights of variance 2/fan_in and no biases, layer by layer, biases first."""
    draws, parts = np.random.default_rng(1), []
    for fan_in, fan_out in pairwise(WIDTHS):
        parts += [np.zeros((n, fan_out)), draws.normal(0, (2 / fan_in) ** 0.5, (n, fan_in * fan_out))]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize(("components", "by_unit"), [(4, False), (None, False), (None, True)])
def test_untrained_networks_seen_as_latents_are_distributed_like_the_source(
    tmp_path: Path, components: int | None, by_unit: bool
) -> None:
    rows, matrix = zoo(tmp_path / "weights.zarr")
    basis = basis_of(rows, components)
    latents = Latents.of(basis, matrix, by_unit)
    source = source_of(KAIMING, basis, matrix, latents)
    centred = rows - rows.mean(axis=0)
    seen = untrained(200_000) - rows.mean(axis=0)
    if components is not None:
        seen = seen @ (basis.decoder @ centred).T
    seen = (seen - latents.shift.numpy()) / latents.scale.numpy()
    noise = torch.randn(200_000, seen.shape[1], generator=torch.Generator().manual_seed(0))
    drawn = source.at(noise).numpy()
    spread = seen.std(axis=0)
    np.testing.assert_allclose(drawn.mean(axis=0), seen.mean(axis=0), atol=0.02 * max(spread))
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(seen.T), atol=0.02 * max(spread) ** 2)


def test_the_standard_source_is_the_noise_itself(tmp_path: Path) -> None:
    rows, matrix = zoo(tmp_path / "weights.zarr")
    basis = basis_of(rows, 3)
    source = source_of(FlowConfig(kind="flow"), basis, matrix, Latents.of(basis, matrix))
    assert source is STANDARD
    noise = torch.randn(5, 3)
    assert torch.equal(source.at(noise), noise)
