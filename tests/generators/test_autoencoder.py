"""Autoencoders of networks and generators of their codes, against closed forms."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bases import basis_of
from interrupting import Interrupted, InterruptedCheckpoint
from pydantic import ValidationError

from dwf_steps.config.generators.autoencoder import AutoencoderConfig
from dwf_steps.generators.autoencoder import Autoencoder
from dwf_steps.generators.base import Tools, TrainingNetworks
from dwf_steps.storage.checkpoint import Checkpoint
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix

N, D = 60, 10
SILENT = {"input": 0, "latent": 0}
LINEAR = {"steps": 1000, "batch_size": N, "lr": 1e-2, "weight_decay": 0, "ema": 0.99}
SHORT = {"steps": 60, "batch_size": 8, "lr": 5e-3}
MODELS: dict[str, dict[str, Any]] = {
    "flow": {
        "kind": "flow",
        "velocity": {"width": 16},
        "training": SHORT,
        "sampling": {"solver": "euler", "steps": 5},
    },
    "diffusion": {
        "kind": "diffusion",
        "denoiser": {"width": 16},
        "training": SHORT,
        "sampling": {"steps": 5},
    },
    "gaussian": {"kind": "gaussian"},
    "kernel_density": {"kind": "kernel_density"},
}


def autoencoder(**settings: Any) -> Autoencoder:
    given = {"kind": "autoencoder", "model": {"kind": "gaussian"}, "noise": SILENT, **settings}
    return Autoencoder(AutoencoderConfig.model_validate(given))


def training_of(
    folder: Path, components: int | None = None, held_out: int = 0, n: int = N
) -> TrainingNetworks:
    """Return Gaussian networks whose weights' deviations fall from 3 to 0.3."""
    rows = (np.random.default_rng(0).normal(size=(n, D)) * np.linspace(3, 0.3, D)).astype(np.float32)
    path, described = folder / "weights.zarr", [Row(f"net-{i}", held_out=i >= n - held_out) for i in range(n)]
    matrix = WeightMatrix.create(path, Layout.of({"weight": (D,)}), described, {})
    matrix.array[:] = rows
    return TrainingNetworks(basis_of(rows.astype(float), components, held_out), path)


def fitted(generator: Autoencoder, training: TrainingNetworks, folder: Path) -> pd.DataFrame:
    with Tools(Checkpoint(folder / "checkpoint", "run")) as tools:
        return generator.fit(training, tools)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> TrainingNetworks:
    return training_of(tmp_path_factory.mktemp("raw"))


def principal(training: TrainingNetworks) -> tuple[np.ndarray, np.ndarray]:
    """Return principal axes of the rows and the variances along them (divisor n), with total D (n - 1) / n:
    as of latents of unit variance."""
    _, singular, axes = np.linalg.svd(training.points, full_matrices=False)
    variances = singular**2 / N
    return axes, variances * D * (N - 1) / N / variances.sum()


def kept_of_axes(generator: Autoencoder, training: TrainingNetworks) -> np.ndarray:
    """Return which share of each principal axis a linear autoencoder keeps."""
    axes, _ = principal(training)
    return np.array([axis @ generator.reconstructed(2 * axis[None])[0] / 2 for axis in axes])


def test_a_linear_autoencoder_reaches_the_error_of_principal_components(
    raw: TrainingNetworks, tmp_path: Path
) -> None:
    generator = autoencoder(latent=3, hidden=[], training=LINEAR)
    losses = fitted(generator, raw, tmp_path)
    _, variances = principal(raw)
    least = variances[3:].sum() / D
    assert least <= losses.validation.iloc[-1] * (1 + 1e-6) and losses.validation.iloc[-1] < 1.001 * least
    error = np.square(generator.reconstructed(raw.points) - raw.points).sum(axis=1).mean()
    assert error == pytest.approx(least * D * generator.std**2, rel=1e-3)


def test_noise_in_what_is_encoded_shrinks_each_axis_as_wiener_does(
    raw: TrainingNetworks, tmp_path: Path
) -> None:
    """The linear denoiser of rank r keeps v / (v + s^2) of the r axes with the largest variances v."""
    generator = autoencoder(latent=3, hidden=[], noise={"input": 0.7, "latent": 0}, training=LINEAR)
    fitted(generator, raw, tmp_path)
    _, variances = principal(raw)
    expected = np.where(np.arange(D) < 3, variances / (variances + 0.7**2), 0)
    np.testing.assert_allclose(kept_of_axes(generator, raw), expected, atol=0.02)


def test_noise_in_a_code_shrinks_what_is_decoded_however_large_codes_are(
    raw: TrainingNetworks, tmp_path: Path
) -> None:
    """A code of one number with noise of s times its own deviation says 1 / (1 + s^2) of the first axis."""
    generator = autoencoder(latent=1, hidden=[], noise={"input": 0, "latent": 0.5}, training=LINEAR)
    fitted(generator, raw, tmp_path)
    expected = np.where(np.arange(D) < 1, 1 / (1 + 0.5**2), 0)
    np.testing.assert_allclose(kept_of_axes(generator, raw), expected, atol=0.05)


def test_a_variational_linear_one_is_probabilistic_principal_components(
    raw: TrainingNetworks, tmp_path: Path
) -> None:
    """Lucas et al. 2019 (arXiv 1911.02469): with noise s^2 it keeps 1 - s^2 / v of an axis of variance v, and
    nothing of those with v < s^2; codes along it have variance 1 - s^2 / v."""
    generator = autoencoder(latent=5, hidden=[], kl=1.0, training=LINEAR)
    fitted(generator, raw, tmp_path)
    _, variances = principal(raw)
    expected = np.maximum(0, 1 - 1 / variances)
    assert 1 < np.count_nonzero(expected[:5]) < 5
    expected[5:] = 0
    np.testing.assert_allclose(kept_of_axes(generator, raw), expected, atol=0.03)
    spread = np.linalg.eigvalsh(np.cov(generator.codes.T, bias=True))[::-1]
    np.testing.assert_allclose(spread, expected[:5], atol=0.05)


def test_generated_networks_of_linear_codes_have_the_training_networks_covariance(
    raw: TrainingNetworks, tmp_path: Path
) -> None:
    generator = autoencoder(latent=3, hidden=[], training=LINEAR, sampling={"samples": 20_000})
    fitted(generator, raw, tmp_path)
    samples = generator.sample(raw, Tools())
    axes, _ = principal(raw)
    found, expected = (np.cov((rows @ axes.T)[:, :3].T) for rows in (samples.offsets, raw.points))
    np.testing.assert_allclose(found, expected, atol=0.05 * expected.max())


@pytest.mark.parametrize("kind", ["flow", "diffusion"])
def test_a_latent_model_of_a_gaussian_draws_that_gaussian(kind: str, tmp_path: Path) -> None:
    training = training_of(tmp_path, components=4, n=1500)
    long = {"steps": 800, "batch_size": 128, "lr": 5e-3, "weight_decay": 0, "ema": 0.99}
    settings = {
        "flow": {"velocity": {"width": 64, "dropout": 0}, "sampling": {"solver": "euler", "steps": 40}},
        "diffusion": {"denoiser": {"width": 64, "dropout": 0}, "sampling": {"steps": 40}},
    }[kind]
    model = {"kind": kind, "training": long, **settings}
    generator = autoencoder(latent=2, hidden=[], training=LINEAR, model=model, sampling={"samples": 3000})
    losses = fitted(generator, training, tmp_path)
    assert losses.phase.tolist() == sorted(losses.phase) and losses.step.is_monotonic_increasing
    assert losses.step.iloc[-1] == LINEAR["steps"] + long["steps"]
    samples = generator.sample(training, Tools())
    assert samples.evaluations == 40
    deviations = training.points.std(axis=0)
    assert (np.abs(samples.latents.mean(axis=0)) < 0.1 * deviations[0]).all()
    np.testing.assert_allclose(samples.latents.std(axis=0)[:2], deviations[:2], rtol=0.12)
    assert abs(np.corrcoef(samples.latents.T)[0, 1]) < 0.1
    assert (samples.latents[:, 2:].std(axis=0) < 0.05 * deviations[2:]).all()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("kl", [0, 0.01])
def test_a_model_comes_back_from_its_file(kind: str, kl: float, tmp_path: Path) -> None:
    training = training_of(tmp_path, components=6)
    generator = autoencoder(latent=3, hidden=[8], kl=kl, training=SHORT, model=MODELS[kind])
    fitted(generator, training, tmp_path)
    generator.save(tmp_path / "model.safetensors")
    again = Autoencoder(generator.config)
    again.load(tmp_path / "model.safetensors", Tools())
    found, expected = (some.sample(training, Tools()) for some in (again, generator))
    np.testing.assert_array_equal(found.latents, expected.latents)
    np.testing.assert_array_equal(
        again.reconstructed(training.points), generator.reconstructed(training.points)
    )
    assert len({tuple(row) for row in found.latents}) == 100 and found.coefficients.shape == (100, N)


@pytest.mark.parametrize("saves", [7, 60, 61, 100, 120])
def test_a_fit_interrupted_in_either_phase_resumes_to_the_byte(saves: int, tmp_path: Path) -> None:
    training, whole, path = training_of(tmp_path), tmp_path / "whole.safetensors", tmp_path / "checkpoint"
    noise, some = {"input": 0.1, "latent": 0.1}, {**SHORT, "validation_networks": 0.2}
    settings = {"hidden": [8], "noise": noise, "kl": 0.01, "training": some, "model": MODELS["flow"]}
    generator = autoencoder(**settings)
    losses = fitted(generator, training, tmp_path / "other")
    generator.save(whole)
    with pytest.raises(Interrupted), Tools(InterruptedCheckpoint(path, "run", saves)) as tools:
        autoencoder(**settings).fit(training, tools)
    resumed = autoencoder(**settings)
    with Tools(InterruptedCheckpoint(path, "run", 121 - saves)) as tools:
        pd.testing.assert_frame_equal(resumed.fit(training, tools), losses)
    resumed.save(tmp_path / "resumed.safetensors")
    assert (tmp_path / "resumed.safetensors").read_bytes() == whole.read_bytes()


def test_errors_of_networks_that_were_fitted_left_out_and_held_out_are_stated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    training = training_of(tmp_path, held_out=10)
    generator = autoencoder(
        latent=3, hidden=[64], training={**SHORT, "steps": 300, "validation_networks": 0.2}
    )
    fitted(generator, training, tmp_path)
    (line,) = [message for message in caplog.messages if "relative error" in message]
    shown = re.fullmatch(
        r"relative error of reconstructed networks: (\S+) \(40 fitted\), (\S+) \(10 left out\), "
        r"(\S+) \(10 held-out\)",
        line,
    )
    assert shown
    fitted_error, _, held_out_error = map(float, shown.groups())
    points = training.basis.coordinates_of(training.matrix, slice(None))[50:]
    away = np.linalg.norm(generator.reconstructed(points) - points, axis=1) / np.linalg.norm(points, axis=1)
    assert held_out_error == pytest.approx(away.mean(), abs=1e-3) and fitted_error < held_out_error


@pytest.mark.parametrize("phase", ["autoencoder", "model"])
def test_a_loss_that_is_not_finite_is_refused(phase: str, raw: TrainingNetworks, tmp_path: Path) -> None:
    wild = {**SHORT, "lr": 1e30}
    model = {**MODELS["flow"], "training": wild if phase == "model" else SHORT}
    generator = autoencoder(latent=3, hidden=[8], training=SHORT if phase == "model" else wild, model=model)
    told = "model: the loss is" if phase == "model" else "^the loss is"
    with pytest.raises(FloatingPointError, match=rf"{told}.* at step \d+; lower training.lr"):
        fitted(generator, raw, tmp_path)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"kind": "flow", "velocity": {"network": "unit_transformer"}}, "model.velocity.network: 'unit_tra"),
        ({"kind": "flow", "source": "kaiming"}, "model.source: 'kaiming' needs networks' own coordinates"),
        ({"kind": "flow", "likelihood": {}}, "model.likelihood needs networks' own coordinates"),
        ({"kind": "diffusion", "denoiser": {"network": "relational_transformer"}}, "model.denoiser.network"),
        (
            {"kind": "gaussian", "sampling": {"samples": 7}},
            "model.sampling.samples: found 7.* set sampling.s",
        ),
        ({"kind": "copy"}, "'copy'"),
    ],
)
def test_a_model_that_needs_networks_is_refused(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        autoencoder(model=model)


def test_how_codes_are_drawn_plays_no_part_in_the_fit() -> None:
    sampled = {**MODELS["flow"], "sampling": {"solver": "euler", "steps": 9}}
    one, other = (autoencoder(model=model).config for model in (MODELS["flow"], sampled))
    assert one.as_fitted() == other.as_fitted() and one.as_sampled() != other.as_sampled()
    wide, narrow = (autoencoder(model={"kind": "gaussian", "scale": scale}).config for scale in (1, 0.5))
    assert wide.as_fitted() == narrow.as_fitted() and wide.as_sampled() != narrow.as_sampled()
    assert one.as_fitted() != wide.as_fitted()
    assert one.modules == ("dwf_steps.generators.autoencoder", "dwf_steps.generators.flow_generator")
    again = AutoencoderConfig.model_validate_json(one.as_sampled().model_dump_json())
    assert again == one.as_sampled()
