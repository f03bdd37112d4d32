"""Networks cut into tokens, and an autoencoder whose latents are drawn from a kernel density."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bases import basis_of
from interrupting import Interrupted, InterruptedCheckpoint
from pydantic import ValidationError
from tiny_zoo import flat, random_networks, stack

from dwf_steps.config.generators.tokens import TokensConfig, TokensSampling
from dwf_steps.fit_generator import FitGenerator, fit_generator
from dwf_steps.flow.tokens import HiddenTokens, TokenAutoencoder, TokenSequence
from dwf_steps.generators.base import Tools, TrainingNetworks
from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.layers import by_layer, by_unit
from dwf_steps.generators.samples import Samples
from dwf_steps.generators.tokens import Tokens, draw_latents, layer_deviations
from dwf_steps.pipeline.settings.generate import SampleGenerator
from dwf_steps.sample_generator import sample_generator
from dwf_steps.storage.checkpoint import Checkpoint
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix

SHAPES = {"a.bias": (3,), "a.weight": (3, 4), "b.bias": (2,), "b.weight": (2, 3)}
LAYOUT = Layout.of(SHAPES)
SMALL: dict[str, Any] = {"size": 3, "latent": 2, "width": 8, "heads": 2, "depth": 1}
TRAINING = {"steps": 30, "batch_size": 8, "lr": 0.01, "ema": 0.9}


def settings(**changes: Any) -> TokensConfig:
    return TokensConfig.model_validate({"kind": "tokens", **SMALL, "training": TRAINING, **changes})


def sequence_of(layout: Layout = LAYOUT, size: int = 3) -> TokenSequence:
    return TokenSequence.of(by_layer(layout), by_unit(layout), size)


def autoencoder(**changes: Any) -> TokenAutoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TokenAutoencoder(sequence_of(size=settings(**changes).size), settings(**changes))


def networks(n: int, layout: Layout = LAYOUT, seed: int = 0) -> np.ndarray:
    """Rows with a mean and deviations of their own."""
    draws = np.random.default_rng(seed)
    mixed = draws.normal(size=(n, layout.size)) @ draws.normal(size=(layout.size, layout.size))
    return mixed + 5 * draws.normal(size=layout.size)


def training_of(folder: Path, rows: np.ndarray, layout: Layout = LAYOUT) -> TrainingNetworks:
    names = [Row(f"seed-{i}") for i in range(len(rows))]
    matrix = WeightMatrix.create(folder / "weights.zarr", layout, names, {})
    matrix.array[:] = rows.astype(np.float32)
    return TrainingNetworks(basis_of(rows, None), folder / "weights.zarr")


def fitted(folder: Path, training: TrainingNetworks, config: TokensConfig) -> tuple[Tokens, pd.DataFrame]:
    generator = Tokens(config)
    with Tools(checkpoint=Checkpoint(folder / "checkpoint", "run")) as tools:
        return generator, generator.fit(training, tools)


def relative(rows: np.ndarray) -> np.ndarray:
    """Rows as float32 has them, relative to their mean."""
    stored = rows.astype(np.float32).astype(np.float64)
    centred: np.ndarray = stored - stored.mean(axis=0)
    return centred


def test_every_coordinate_is_in_one_token_and_tokens_are_pieces_of_units() -> None:
    sequence = sequence_of()
    assert sequence.columns.shape == (2 * 3 + 2 * 2, 3), (
        "units of 5 and of 4 coordinates make two tokens each"
    )
    names = np.concatenate([[entry.name] * entry.size for entry in LAYOUT.entries])
    row = np.arange(LAYOUT.size)
    parts = {entry.name: row[entry.columns].reshape(entry.shape) for entry in LAYOUT.entries}
    for columns, (layer, unit, _) in zip(sequence.columns, sequence.positions, strict=True):
        own = columns[columns < LAYOUT.size]
        module = "ab"[layer]
        assert {name[0] for name in names[own]} == {module}
        assert set(own) <= {parts[f"{module}.bias"][unit], *parts[f"{module}.weight"][unit]}
    assert sorted(sequence.columns[sequence.columns < LAYOUT.size]) == list(range(LAYOUT.size))
    assert len(np.unique(sequence.positions, axis=0)) == len(sequence.positions)
    assert sequence_of(size=100).columns.shape == (5, 5), "no longer than the longest unit"


def test_rows_come_back_from_their_tokens_and_what_fills_them_is_zero() -> None:
    rows, sequence = torch.randn(4, LAYOUT.size), sequence_of()
    tokens = sequence.gather(rows)
    torch.testing.assert_close(sequence.scatter(tokens), rows, rtol=0, atol=0)
    assert (tokens[:, torch.from_numpy(sequence.columns == LAYOUT.size)] == 0).all()


def test_decoding_commutes_with_the_order_of_networks() -> None:
    model, order = autoencoder().eval(), torch.tensor([3, 0, 2, 1])
    latents = torch.randn(4, 10, 2)
    torch.testing.assert_close(model.decode(latents[order]), model.decode(latents)[order])


def test_hidden_tokens_play_no_part_and_the_others_do() -> None:
    model, sequence, rows = autoencoder().eval(), sequence_of(), torch.randn(2, LAYOUT.size)
    own = torch.from_numpy(sequence.columns[2][sequence.columns[2] < LAYOUT.size])
    other = rows.clone()
    other[:, own] += 1
    assert not torch.allclose(model.encode(rows), model.encode(other))
    for values in (rows, other):
        values[:, own[0]] = torch.nan
    torch.testing.assert_close(model.encode(rows), model.encode(other))
    assert model.encode(rows).isfinite().all()


def test_attention_lets_tokens_see_each_other_and_without_blocks_they_do_not() -> None:
    for depth in (0, 1):
        model, sequence, rows = autoencoder(depth=depth).eval(), sequence_of(), torch.randn(1, LAYOUT.size)
        changed = rows.clone()
        changed[:, sequence.columns[0][0]] += 1
        touched = ((model.encode(changed) - model.encode(rows)).abs() > 1e-6).any(dim=2)[0]
        assert touched.sum() == (1 if depth == 0 else 10)


def test_many_networks_at_once_are_the_same_ones_in_chunks() -> None:
    model, rows = autoencoder().eval(), torch.randn(150, LAYOUT.size)
    whole = model(rows)
    with torch.no_grad():
        torch.testing.assert_close(model(rows), whole)


def test_noise_on_latents_is_relative_to_their_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = autoencoder(latent_noise=0.3), torch.randn(4000, LAYOUT.size)
    monkeypatch.setattr(model, "decode", lambda latents: latents)
    clean, noisy = model.encode(rows), model.train()(rows)
    found = (noisy - clean).std(dim=0) / clean.std(dim=0)
    torch.testing.assert_close(found, torch.full_like(found, 0.3), rtol=0.1, atol=0)
    torch.testing.assert_close(model.eval()(rows), clean)


def test_batches_hide_whole_tokens_add_noise_and_ask_for_the_networks_themselves() -> None:
    targets, sequence = torch.randn(6, LAYOUT.size), sequence_of()
    paths = HiddenTokens(targets, torch.arange(6) >= 4, sequence, hidden=0.25, noise=0.5)
    draws = torch.Generator().manual_seed(0)
    batch = paths.draw(3000, draws)
    hidden = batch.x.isnan()
    assert abs(hidden.float().mean() - 0.25) < 0.02
    tokens = sequence.gather(hidden.float())
    shares = tokens.sum(dim=2) / torch.from_numpy((sequence.columns < LAYOUT.size).sum(axis=1))
    assert set(shares.unique().tolist()) == {0, 1}
    noise = (batch.x - batch.x1)[~hidden]
    assert abs(noise.std() - 0.5) < 0.01 and abs(noise.mean()) < 0.01
    assert {tuple(row) for row in batch.x1.tolist()} == {tuple(row) for row in targets[:4].tolist()}
    validation = paths.draw(1024, draws, validating=True)
    assert sorted(validation.x1.tolist()) == sorted(targets[4:].tolist()), "each of them once"


def test_a_linear_token_of_k_latents_comes_as_close_as_k_principal_components(tmp_path: Path) -> None:
    layout = Layout.of({"whole.weight": (1, 6)})
    rows = networks(40, layout)
    config = settings(
        **{"size": 6, "latent": 2, "depth": 0, "noise": 0, "latent_noise": 0},
        training={"steps": 1500, "batch_size": 40, "lr": 0.01, "ema": 0.9},
    )
    generator, losses = fitted(tmp_path, training_of(tmp_path, rows, layout), config)
    assert generator.latents.shape == (40, 1, 2)
    squares = np.square(np.linalg.svd(relative(rows), compute_uv=False))
    optimum = np.sqrt(squares[2:].sum() / squares.sum())
    assert losses.reconstruction.iloc[-1] == pytest.approx(optimum, rel=0.01)
    assert losses.reconstruction.iloc[:-1].isna().all()
    # The latents span what the networks' two leading components do.
    leading = np.linalg.svd(relative(rows), full_matrices=False)[0][:, :2]
    latents = generator.latents[:, 0] - generator.latents[:, 0].mean(axis=0)
    missed = latents - leading @ (leading.T @ latents)
    assert np.linalg.norm(missed) < 0.05 * np.linalg.norm(latents)


def decoded_training(generator: Tokens) -> np.ndarray:
    with torch.no_grad():
        rows = generator.network.decode(torch.from_numpy(generator.latents))
    decoded: np.ndarray = rows.numpy() * generator.scale
    np.testing.assert_allclose(generator.decoded(generator.latents), decoded, rtol=1e-5, atol=1e-5)
    return decoded


def test_without_bandwidth_whole_networks_are_the_training_networks_reconstructed(tmp_path: Path) -> None:
    rows = networks(9)
    training = training_of(tmp_path, rows)
    config = settings(sampling={"samples": 30, "bandwidth": 0, "by": "network"})
    generator, losses = fitted(tmp_path, training, config)
    samples, known = generator.sample(training, Tools()), decoded_training(generator)
    distances = np.linalg.norm(samples.offsets[:, None] - known, axis=2)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-4)
    assert len(set(distances.argmin(axis=1))) > 5
    error = np.linalg.norm(known - relative(rows)) / np.linalg.norm(relative(rows))
    assert losses.reconstruction.iloc[-1] == pytest.approx(error, rel=1e-4)
    assert samples.evaluations == 1


def sampling(**changes: Any) -> TokensSampling:
    return TokensSampling.model_validate({"samples": 60_000, **changes})


@pytest.mark.parametrize("by", ["token", "network", "coordinate"])
def test_without_bandwidth_each_token_or_coordinate_is_of_some_training_network(by: Any) -> None:
    latents = np.arange(4 * 3 * 2.0).reshape(4, 3, 2)  # four networks of three tokens of two latents
    drawn = draw_latents(latents, sampling(by=by, bandwidth=0, samples=500), np.random.default_rng(0))
    which = np.abs(drawn[:, None] - latents).argmin(axis=1)
    np.testing.assert_allclose(np.take_along_axis(latents, which, axis=0), drawn, atol=1e-9)
    assert set(which.ravel()) == {0, 1, 2, 3}
    within, across = (which[:, :, :1] == which).all(axis=2), (which[:, :1, 0] == which[:, :, 0]).all(axis=1)
    assert within.all() == (by != "coordinate")
    assert across.all() == (by == "network")


@pytest.mark.parametrize("by", ["token", "network", "coordinate"])
def test_draws_have_the_covariance_of_what_is_drawn_together_and_no_other(
    by: Any,
) -> None:
    n, latents = 12, networks(12, seed=3)[:, :6].reshape(12, 3, 2)
    drawn = draw_latents(latents, sampling(by=by, bandwidth=0.4), np.random.default_rng(0)).reshape(-1, 6)
    flat = latents.reshape(n, 6)
    together = {"token": 2, "network": 6, "coordinate": 1}[by]
    same = np.arange(6)[:, None] // together == np.arange(6) // together
    expected = np.where(same, np.cov(flat.T) * ((n - 1) / n + 0.4**2), 0)
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose((drawn.mean(axis=0) - flat.mean(axis=0)) / scale, 0, atol=0.03)
    np.testing.assert_allclose((np.cov(drawn.T) - expected) / np.outer(scale, scale), 0, atol=0.03)


def test_coordinates_are_in_units_of_their_layers_deviation() -> None:
    rows = networks(30)
    rows[:, LAYOUT.entries[2].columns] = rows[:, LAYOUT.entries[3].columns] = 0.1
    found = layer_deviations(rows, by_layer(LAYOUT))
    first = rows[:, :15] - rows[:, :15].mean(axis=0)
    np.testing.assert_allclose(found[:15], np.sqrt(np.square(first).mean()))
    np.testing.assert_array_equal(found[15:], 1)


def test_an_interrupted_fit_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    training, config = training_of(tmp_path, networks(9)), settings(hidden=0.2)
    whole, losses = fitted(tmp_path, training, config)
    whole.save(tmp_path / "whole.safetensors")
    broken = Tokens(config)
    with (
        pytest.raises(Interrupted),
        Tools(checkpoint=InterruptedCheckpoint(tmp_path / "broken", "run", saves=17)) as tools,
    ):
        broken.fit(training, tools)
    resumed = Tokens(config)
    with Tools(checkpoint=Checkpoint(tmp_path / "broken", "run")) as tools:
        pd.testing.assert_frame_equal(resumed.fit(training, tools), losses)
    resumed.save(tmp_path / "resumed.safetensors")
    assert (tmp_path / "resumed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_a_model_draws_the_same_networks_from_its_file(tmp_path: Path) -> None:
    training = training_of(tmp_path, networks(9))
    generator, _ = fitted(tmp_path, training, settings(sampling={"samples": 5}))
    generator.save(tmp_path / "model.safetensors")
    again = Tokens(settings(sampling={"samples": 5}))
    again.load(tmp_path / "model.safetensors", Tools())
    first, second = (found.sample(training, Tools()).offsets for found in (generator, again))
    np.testing.assert_array_equal(first, second)
    other = Tokens(settings(sampling={"samples": 5, "seed": 1}))
    other.load(tmp_path / "model.safetensors", Tools())
    assert np.abs(other.sample(training, Tools()).offsets - first).max() > 1e-3


def test_networks_left_out_have_a_reconstruction_error_of_their_own(tmp_path: Path) -> None:
    training = training_of(tmp_path, networks(10))
    config = settings(training=TRAINING | {"validation_networks": 0.3})
    _, losses = fitted(tmp_path, training, config)
    kept = losses[losses.kept]
    assert len(kept) == 1 and kept.validation.iloc[0] == losses.validation.min()
    errors = losses[["reconstruction", "reconstruction_left_out"]]
    assert (errors.notna().all(axis=1) == losses.kept).all()
    assert (errors.loc[kept.index[0]] < 1).all()


def test_the_steps_fit_and_sample_networks_of_a_zoo(tmp_path: Path) -> None:
    states = random_networks(8)
    stack(tmp_path, states)
    basis_of(np.stack([flat(state) for state in states.values()]).astype(float), None).save(
        tmp_path / "basis.npz"
    )
    config = settings(sampling={"samples": 4, "bandwidth": 0, "by": "network", "candidates": 2})
    model, losses = tmp_path / "model.safetensors", tmp_path / "training.csv"
    fit_generator(
        FitGenerator(generator=config.as_fitted()),
        *(tmp_path / "basis.npz", tmp_path / "weights.zarr", model, losses),
    )
    assert pd.read_csv(losses).reconstruction.notna().sum() == 1
    sample_generator(
        SampleGenerator(generator=config), tmp_path / "basis.npz", tmp_path / "latents.npz", model
    )
    samples = Samples.load(tmp_path / "latents.npz")
    matrix = WeightMatrix.open(tmp_path / "weights.zarr")
    networks = decode_block(samples, matrix, slice(0, matrix.layout.size))
    assert networks.shape == (4 * 2, matrix.layout.size) and samples.networks == 4
    fitted_to = Tokens(config)
    fitted_to.load(model, Tools())
    expected = decoded_training(fitted_to) + matrix.read().mean(axis=0)
    np.testing.assert_allclose(np.abs(networks[:, None] - expected).max(axis=2).min(axis=1), 0, atol=1e-4)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"width \(9\) must be a multiple of heads \(2\)"):
        settings(width=9)
