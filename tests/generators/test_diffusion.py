"""Denoising diffusion models, against closed forms."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bases import basis_of
from pydantic import ValidationError
from torch import Tensor

from dwf_steps.config.generators.diffusion import DiffusionConfig, DiffusionSampling
from dwf_steps.flow.diffusion import NoisyPaths, denoise, kept_signal
from dwf_steps.generators.base import Tools, TrainingNetworks
from dwf_steps.generators.diffusion import Diffusion
from dwf_steps.storage.checkpoint import Checkpoint
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix

MEAN, STD = 3.0, 0.5
T = 1000


def diffusion(**settings: Any) -> DiffusionConfig:
    return DiffusionConfig.model_validate({"kind": "diffusion", **settings})


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_schedule_is_the_published_one() -> None:
    betas = np.linspace(1e-4, 0.02, T)
    np.testing.assert_allclose(kept_signal(T).numpy(), np.cumprod(np.append(1, 1 - betas)), rtol=1e-12)
    assert kept_signal(100)[-1] < 1e-4


def exact(kept: Tensor) -> Any:
    """The expected v in points whose targets are normal, N(MEAN, STD^2)."""

    def predict(t: Tensor, x: Tensor) -> Tensor:
        abar = kept[(t * T).round().long()].to(x)
        noise = (1 - abar).sqrt() * (x - abar.sqrt() * MEAN) / (abar * STD**2 + 1 - abar)
        target = (x - (1 - abar).sqrt() * noise) / abar.sqrt()
        return abar.sqrt() * noise - (1 - abar).sqrt() * target

    return predict


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_exact_predictions_of_a_gaussian_leads_back_to_it(eta: float) -> None:
    kept, start = kept_signal(T), torch.randn(20_000, 1, generator=draws(), dtype=torch.float64)
    sampling = DiffusionSampling(steps=T, eta=eta)
    found, evaluations = denoise(exact(kept), start, kept, sampling, draws(1))
    assert evaluations == T
    assert abs(found.mean() - MEAN) < 0.02 and abs(found.std() / STD - 1) < 0.02
    if eta == 0:  # the map is the one between the two distributions' quantiles
        torch.testing.assert_close(found, MEAN + STD * start, atol=0.05, rtol=0)


def test_a_lower_temperature_narrows_samples_and_keeps_their_mean() -> None:
    kept, sampling = kept_signal(T), DiffusionSampling(steps=T, eta=1.0, temperature=0.5)
    start = 0.5 * torch.randn(20_000, 1, generator=draws(), dtype=torch.float64)
    found, _ = denoise(exact(kept), start, kept, sampling, draws(1))
    assert abs(found.mean() - MEAN) < 0.02 and found.std() < 0.7 * STD


def test_one_step_is_the_predicted_target() -> None:
    kept, start = kept_signal(T), torch.randn(5, 2, generator=draws(), dtype=torch.float64)
    found, _ = denoise(exact(kept), start, kept, DiffusionSampling(steps=1), draws())
    v = exact(kept)(torch.ones(5, 1, dtype=torch.float64), start)
    expected = math.sqrt(kept[-1]) * start - math.sqrt(1 - kept[-1]) * v
    torch.testing.assert_close(found, expected)


def test_noisy_points_are_targets_and_noise_in_the_schedules_proportions() -> None:
    targets, kept = torch.randn(7, 3, generator=draws(5)), kept_signal(60)
    paths = NoisyPaths(targets, torch.arange(7) >= 4, kept)
    batch = paths.draw(900, draws())
    steps = (batch.t * 60).round().long()
    assert set(steps.flatten().tolist()) == set(range(1, 61))
    signal, other = (part.sqrt().float() for part in (kept[steps], 1 - kept[steps]))
    noise = (batch.x - signal * batch.x1) / other
    torch.testing.assert_close(batch.u, signal * noise - other * batch.x1, rtol=1e-4, atol=1e-4)
    assert abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1
    assert {tuple(row) for row in batch.x1.tolist()} == {tuple(row) for row in targets[:4].tolist()}
    left_out = paths.draw(500, draws(), validating=True)
    assert {tuple(row) for row in left_out.x1.tolist()} == {tuple(row) for row in targets[4:].tolist()}


def training_of(path: Path, n: int = 60) -> TrainingNetworks:
    """Networks whose coordinates are those of two clusters."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, 10)).astype(np.float32)
    rows[: n // 2, 0] += 12
    matrix = WeightMatrix.create(path, Layout.of({"weight": (10,)}), [Row(f"seed-{i}") for i in range(n)], {})
    matrix.array[:] = rows
    return TrainingNetworks(basis_of(rows.astype(np.float64), 2), path)


def test_a_model_draws_what_it_was_fitted_to_and_comes_back_from_its_file(tmp_path: Path) -> None:
    training = training_of(tmp_path / "weights.zarr")
    settings = {
        "denoiser": {"width": 64, "dropout": 0},
        "training": {"steps": 600, "batch_size": 64, "lr": 5e-3},
    }
    generator = Diffusion(diffusion(**settings, sampling={"samples": 300, "steps": 50}))
    with Tools(checkpoint=Checkpoint(tmp_path / "checkpoint", "run")) as tools:
        losses = generator.fit(training, tools)
        assert list(losses) == ["step", "train", "validation", "lr"]
        assert losses.validation.iloc[-1] < 0.95 * losses.validation.iloc[0]
        first = generator.sample(training, tools)
        generator.save(tmp_path / "model.safetensors")
        again = Diffusion(generator.config)
        again.load(tmp_path / "model.safetensors", tools)
        np.testing.assert_array_equal(again.sample(training, tools).latents, first.latents)
    points, found = training.points[:, 0], first.latents[:, 0]
    assert first.evaluations == 50
    # Two clusters, and little between them.
    assert abs(np.mean(found > 0) - 0.5) < 0.1
    assert np.mean(np.abs(found) < 0.5 * np.abs(points).mean()) < 0.1
    assert abs(np.median(np.abs(found)) / np.median(np.abs(points)) - 1) < 0.15


def test_more_steps_than_time_steps_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"sampling.steps \(70\) must not exceed timesteps \(60\)"):
        diffusion(timesteps=60, sampling={"steps": 70})
