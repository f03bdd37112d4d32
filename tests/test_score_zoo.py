"""The zoo's networks are scored by the command of its own name, as generated ones are."""

from pathlib import Path

import numpy as np
import pytest
from tiny_zoo import ARCHITECTURE, command, iris, log_probabilities, random_networks, write_networks

from dwf_steps import score_zoo
from dwf_steps.datasets.splits import Dataset
from dwf_steps.pipeline.settings.score import ScoreZoo
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.outputs import Outputs

NETWORKS = random_networks(2)
SETTINGS = ScoreZoo.model_validate({"architecture": ARCHITECTURE}).to_argument()


def test_predictions_of_the_zoo_are_those_of_each_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, data = write_networks(tmp_path / "shard-0.json", NETWORKS), iris(tmp_path)
    options = ["--settings", SETTINGS, "--data", data, "--other-data", "--networks", manifest]
    command(monkeypatch, score_zoo.main, *options, "--output", tmp_path / "outputs.npz")
    found, test = Outputs.load([tmp_path / "outputs.npz"]), Dataset.load(data).test
    assert found.names.tolist() == list(NETWORKS)
    expected = [log_probabilities(state, test.inputs) for state in NETWORKS.values()]
    np.testing.assert_allclose(found.predictions, expected, rtol=2e-3, atol=1e-4)


def test_a_manifest_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, data = write_networks(tmp_path / "shard-0.json", NETWORKS), iris(tmp_path)
    manifest.write_text("[]", encoding="utf-8")
    options = ["--settings", SETTINGS, "--data", data, "--networks", manifest]
    with pytest.raises(InputError, match=r"shard-0\.json: not a manifest that this workflow wrote"):
        command(monkeypatch, score_zoo.main, *options, "--output", tmp_path / "outputs.npz")
