"""The zoo's networks are repaired and scored as generated networks are."""

from pathlib import Path

import numpy as np
import pytest
from tiny_zoo import ARCHITECTURE, iris, log_probabilities, random_networks, stack, write_networks

from dwf_steps.datasets.splits import Dataset
from dwf_steps.recalibrate import Recalibrate, recalibrate
from dwf_steps.recalibrate_zoo import RecalibrateZoo, recalibrate_zoo
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state
from dwf_steps.storage.outputs import Outputs

NETWORKS = random_networks(6)
METHODS = {"architecture": ARCHITECTURE, "methods": [{"method": "repair"}, {"method": "last_layer"}]}


def test_outputs_are_those_of_the_networks_that_recalibration_writes(tmp_path: Path) -> None:
    data, weights = iris(tmp_path), stack(tmp_path, NETWORKS, held_out=2)
    recalibrate_zoo(RecalibrateZoo.model_validate(METHODS), data, None, weights, tmp_path / "outputs.npz")
    shard = write_networks(tmp_path / "as_if_generated.json", NETWORKS)
    written = tmp_path / "repaired.json"
    settings = Recalibrate.model_validate(METHODS)
    recalibrate(settings, data, shard, weights, tmp_path / "repaired", written)

    found, test = Outputs.load([tmp_path / "outputs.npz"]), Dataset.load(data).test
    repaired = [load_state(path) for path in Manifest.read(written).verified_files()]
    assert found.names.tolist() == list(NETWORKS), "held-out networks are repaired as well"
    expected = np.array([log_probabilities(state, test.inputs) for state in repaired])
    np.testing.assert_allclose(found.predictions, expected, rtol=2e-3, atol=2e-3)
    before = [log_probabilities(state, test.inputs) for state in NETWORKS.values()]
    assert not np.allclose(expected, before, atol=0.1)


def test_what_has_no_shifted_inputs_is_refused(tmp_path: Path) -> None:
    settings = RecalibrateZoo.model_validate(METHODS | {"out_of_distribution": "mnist"})
    weights, output = stack(tmp_path, NETWORKS), tmp_path / "outputs.npz"
    with pytest.raises(InputError, match="mnist: its folder is missing"):
        recalibrate_zoo(settings, iris(tmp_path), None, weights, output)
    assert not output.exists()
