"""Predictions of generated networks are what each predicts alone."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from tiny_zoo import ARCHITECTURE, damage, iris, log_probabilities, random_networks, write_networks

from dwf_steps.datasets.splits import Dataset
from dwf_steps.runtime.errors import InputError
from dwf_steps.score import Score, score
from dwf_steps.storage.outputs import Outputs

NETWORKS = random_networks(3)


def scored(folder: Path, shift: str | None = None) -> Outputs:
    settings = Score.model_validate({"architecture": ARCHITECTURE, "out_of_distribution": shift})
    manifest = write_networks(folder / "shard-0.json", NETWORKS, failed=("net-9",))
    score(settings, iris(folder), None, manifest, folder / "outputs.npz")
    return Outputs.load([folder / "outputs.npz"])


def test_predictions_are_the_log_probabilities_of_each_network(tmp_path: Path) -> None:
    found, test = scored(tmp_path), Dataset.load(tmp_path / "data.npz").test
    assert found.names.tolist() == list(NETWORKS)
    np.testing.assert_array_equal(found.targets, test.targets)
    expected = [log_probabilities(state, test.inputs) for state in NETWORKS.values()]
    np.testing.assert_allclose(found.predictions, expected, rtol=2e-3, atol=1e-4)
    assert found.shifted.shape == (3, 0, 3)


def test_shifted_inputs_are_test_items_with_their_features_shuffled(tmp_path: Path) -> None:
    found, test = scored(tmp_path, "shuffled"), Dataset.load(tmp_path / "data.npz").test
    assert found.shifted.shape == found.predictions.shape
    orders = np.array(list(permutations(range(4))))
    for item in range(5):
        possible = log_probabilities(NETWORKS["net-0"], test.inputs[item][orders])
        apart = np.abs(possible - found.shifted[0, item].astype(float)).max(axis=1)
        assert apart.min() < 0.01
    assert not np.allclose(found.shifted, found.predictions, atol=0.01)


def test_a_network_whose_file_changed_is_named(tmp_path: Path) -> None:
    manifest = write_networks(tmp_path / "shard-0.json", NETWORKS)
    damage(tmp_path / "shard-0/net-1.safetensors")
    settings = Score.model_validate({"architecture": ARCHITECTURE})
    with pytest.raises(InputError, match=r"net-1\.safetensors: SHA-256 is"):
        score(settings, iris(tmp_path), None, manifest, tmp_path / "outputs.npz")
    assert not (tmp_path / "outputs.npz").exists()


def test_turned_inputs_need_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'rotated' needs square images, but inputs have 4 features"):
        scored(tmp_path, "rotated")
