"""Decoded networks are the combinations of training networks that samples describe."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_zoo import damage, flat, random_networks, stack

from dwf_steps.decode import Decode, decode
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage import matrix as matrix_module
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state

NETWORKS = random_networks(6)
ROWS = np.stack([flat(state) for state in NETWORKS.values()]).astype(float)[:5]
MIXING = np.random.default_rng(1).normal(size=(4, 5))


def samples(coefficients: np.ndarray) -> Samples:
    k = len(coefficients)
    return Samples(np.zeros((k, 0)), coefficients, np.empty((k, 0), np.float32), evaluations=7)


def decoded(
    folder: Path, drawn: Samples, part: int = 0, parts: int = 1
) -> tuple[dict[str, np.ndarray], Manifest]:
    """Return the networks of one shard, by name, each as a row, and its manifest."""
    weights = folder / "weights.zarr"
    if not weights.exists():
        stack(folder, NETWORKS, held_out=1)
    drawn.save(folder / "latents.npz")
    output = folder / f"shard-{part}"
    settings = Decode(part=part, parts=parts, memory_mb=64)
    decode(settings, folder / "latents.npz", weights, output, output.with_suffix(".json"), threads=2)
    manifest = Manifest.read(output.with_suffix(".json"))
    return {path.stem: flat(load_state(path)) for path in manifest.verified_files()}, manifest


@pytest.mark.parametrize("columns", [7, 43])
def test_networks_are_affine_combinations_of_training_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", 4 * len(NETWORKS) * columns)
    found, manifest = decoded(tmp_path, samples(MIXING))
    mean = ROWS.mean(axis=0)
    for i in range(4):
        np.testing.assert_allclose(found[f"sample-{i}"], mean + MIXING[i] @ (ROWS - mean), atol=1e-5)
    assert manifest.facts["stored_as"] == "float32" and manifest.facts["storage_error"] == 0
    assert 0 < manifest.facts["decoding_error"] < 1e-6
    assert manifest.facts["evaluations"] == 7


def test_one_network_alone_comes_back_and_offsets_are_added(tmp_path: Path) -> None:
    offsets = np.random.default_rng(2).normal(size=(2, 43)).astype(np.float32)
    found, _ = decoded(tmp_path, replace(samples(np.eye(5)[:2]), offsets=offsets))
    np.testing.assert_allclose(list(found.values()), ROWS[:2] + offsets, atol=1e-5)


def test_shards_share_out_the_same_networks(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, _ = decoded(tmp_path / "whole", samples(MIXING))
    parts = [decoded(tmp_path / "parts", samples(MIXING), part, 3)[0] for part in range(3)]
    assert [list(part) for part in parts] == [["sample-0"], ["sample-1"], ["sample-2", "sample-3"]]
    for name, row in (parts[0] | parts[1] | parts[2]).items():
        np.testing.assert_allclose(row, whole[name], atol=1e-6)


def test_a_sample_that_is_not_finite_fails_and_leaves_the_others_alone(tmp_path: Path) -> None:
    mixing = MIXING.copy()
    mixing[2, 0] = np.inf
    found, manifest = decoded(tmp_path, samples(mixing))
    assert manifest.failed == ("sample-2",)
    assert list(found) == ["sample-0", "sample-1", "sample-3"]
    assert not (tmp_path / "shard-0/sample-2.safetensors").exists()


def test_damaged_samples_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    weights = stack(tmp_path, NETWORKS)
    samples(MIXING).save(tmp_path / "latents.npz")
    damage(tmp_path / "latents.npz")
    with pytest.raises(InputError, match=r"latents\.npz: not the arrays that were written"):
        settings = Decode(part=0, parts=1, memory_mb=64)
        decode(settings, tmp_path / "latents.npz", weights, tmp_path / "shard-0", tmp_path / "shard-0.json")
    assert not (tmp_path / "shard-0").exists()
