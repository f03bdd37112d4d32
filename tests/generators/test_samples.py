"""Samples are written and read whole."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from dwf_steps.generators.samples import Samples
from dwf_steps.subspace.basis import ReducedBasis

LATENTS = np.random.default_rng(0).normal(size=(4, 3))
DECODER = np.random.default_rng(1).normal(size=(3, 6))


def test_latents_are_decoded_to_coefficients() -> None:
    basis = ReducedBasis(np.zeros((6, 3)), np.zeros((0, 3)), DECODER, np.ones(3), 3.0)
    samples = Samples.from_latents(LATENTS, basis)
    expected = [[sum(z[c] * DECODER[c, n] for c in range(3)) for n in range(6)] for z in LATENTS]
    np.testing.assert_allclose(samples.coefficients, expected, rtol=1e-12)
    np.testing.assert_array_equal(samples.latents, LATENTS)
    assert samples.offsets.shape == (4, 0)
    assert samples.noise_std == 0


def test_saved_samples_are_loaded_bit_for_bit(tmp_path: Path) -> None:
    offsets = np.random.default_rng(2).normal(size=(4, 10)).astype(np.float32)
    samples = Samples(LATENTS, LATENTS @ DECODER, offsets, noise_std=0.1, noise_seed=2**62 + 3)
    samples.save(tmp_path / "deeper" / "latents.npz")
    loaded = Samples.load(tmp_path / "deeper" / "latents.npz")
    for field in fields(Samples):
        found, expected = getattr(loaded, field.name), getattr(samples, field.name)
        np.testing.assert_array_equal(found, expected)
        assert type(found) is type(expected)
    assert loaded.offsets.dtype == np.float32
    assert [path.name for path in (tmp_path / "deeper").iterdir()] == ["latents.npz"]
