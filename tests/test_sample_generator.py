"""Samples are drawn from the generator that the settings name, the same for the same seed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bases import basis_of
from probed_zoo import ARCHITECTURE, HELD_OUT, PROBING, ProbedZoo
from tiny_zoo import flat, random_networks

from dwf_steps.architectures import build
from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.sample_generator import SampleGenerator, sample_generator
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis

ROWS = np.stack([flat(state) for state in random_networks(8).values()]).astype(float)


def sampled(folder: Path, generator: dict[str, Any]) -> tuple[Samples, Basis]:
    basis = basis_of(ROWS, 3)
    basis.save(folder / "basis.npz")
    settings = SampleGenerator.model_validate({"generator": generator})
    sample_generator(settings, folder / "basis.npz", folder / "latents.npz")
    return Samples.load(folder / "latents.npz"), basis


def test_a_gaussian_has_the_covariance_of_the_training_networks(tmp_path: Path) -> None:
    found, basis = sampled(tmp_path, {"kind": "gaussian", "scale": 0.5, "sampling": {"samples": 20_000}})
    centred = ROWS - ROWS.mean(axis=0)
    variances = np.linalg.svd(centred, compute_uv=False)[:3] ** 2 / (len(ROWS) - 1)
    np.testing.assert_allclose(np.cov(found.latents.T), np.diag(variances) / 4, atol=0.05 * variances[0])
    # As combinations of training networks they are the same points.
    points = (found.coefficients @ centred) @ (basis.decoder @ centred).T
    np.testing.assert_allclose(points, found.latents, atol=1e-8)


def test_copies_are_training_networks(tmp_path: Path) -> None:
    found, basis = sampled(tmp_path, {"kind": "copy", "sampling": {"samples": 8}})
    assert np.unique(found.coefficients).tolist() == [0, 1]
    assert (found.coefficients.sum(axis=1) == 1).all()
    np.testing.assert_allclose(found.latents, basis.coordinates[found.coefficients.argmax(axis=1)])


def test_a_seed_decides_the_draws(tmp_path: Path) -> None:
    draws = [{"samples": 5}, {"samples": 5}, {"samples": 5, "seed": 1}]
    found = [sampled(tmp_path, {"kind": "gaussian", "sampling": one})[0].latents for one in draws]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.isclose(found[0], found[2]).any()


def test_what_is_fitted_needs_its_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--model is missing: a flow is fitted; name its model"):
        sampled(tmp_path, {"kind": "flow"})
    assert not (tmp_path / "latents.npz").exists()


def test_a_damaged_basis_is_named(tmp_path: Path) -> None:
    sampled(tmp_path, {"kind": "gaussian"})
    content = (tmp_path / "basis.npz").read_bytes()
    (tmp_path / "basis.npz").write_bytes(content[: len(content) // 2])
    settings = SampleGenerator.model_validate({"generator": {"kind": "gaussian"}})
    with pytest.raises(InputError, match=r"basis\.npz"):
        sample_generator(settings, tmp_path / "basis.npz", tmp_path / "latents.npz")


def test_untrained_first_layers_have_the_responses_of_untrained_networks(tmp_path: Path) -> None:
    zoo = ProbedZoo(tmp_path).begin().sketched().solved().encoded().stacked()
    rows = WeightMatrix.open(zoo.matrix).read().astype(float)
    basis_of(rows, None, HELD_OUT).save(tmp_path / "basis.npz")
    settings = SampleGenerator.model_validate(
        {
            "generator": {"kind": "untrained", "sampling": {"samples": 3}},
            "architecture": ARCHITECTURE,
            "probing": PROBING,
        }
    )
    files = (tmp_path / "basis.npz", tmp_path / "latents.npz")
    sample_generator(settings, *files, weights=zoo.matrix, data=zoo.data, responses=zoo.basis)
    matrix = WeightMatrix.open(zoo.matrix)
    found = decode_block(Samples.load(files[1]), matrix, slice(None))
    first = matrix.layout.entries[0]
    coordinates = found[:, first.columns].reshape(3, *first.shape).astype(float)
    # An untrained layer's responses to the probes have their mean square, all of which the basis keeps.
    architecture = build(ARCHITECTURE)
    for i in range(3):
        state = architecture.initial_state("default", torch_generator("untrained layers", 0, i))
        weight, bias = (state[f"layers.0.{name}"].double().numpy() for name in ("weight", "bias"))
        responses = zoo.probes @ weight.T + bias
        np.testing.assert_allclose((coordinates[i] ** 2).sum(axis=1), (responses**2).mean(axis=0), rtol=1e-4)
