"""Recalibration repairs every network of a shard by training examples alone, and keeps what failed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from tiny_zoo import (
    ARCHITECTURE,
    State,
    damage,
    hidden_units,
    iris,
    log_probabilities,
    random_networks,
    stack,
    write_networks,
)

from dwf_steps.datasets.splits import Dataset
from dwf_steps.recalibrate import Recalibrate, recalibrate
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state

ZOO, GENERATED = random_networks(6), random_networks(3, seed=1)


def recalibrated(
    folder: Path, *methods: dict[str, Any], damaged: str | None = None
) -> tuple[dict[str, State], Manifest]:
    generated = write_networks(folder / "generated.json", GENERATED, failed=("net-9",))
    if damaged:
        damage(folder / f"generated/{damaged}.safetensors")
    settings = Recalibrate.model_validate({"architecture": ARCHITECTURE, "methods": list(methods)})
    output, manifest = folder / "repaired", folder / "repaired.json"
    recalibrate(settings, iris(folder), generated, stack(folder, ZOO), output, manifest)
    found = Manifest.read(manifest)
    return {path.stem: load_state(path) for path in found.verified_files()}, found


def test_the_last_layer_predicts_what_ridge_regression_does(tmp_path: Path) -> None:
    train = Dataset.load(iris(tmp_path)).train
    method = {"method": "last_layer", "examples": len(train), "ridge": 0.1}
    networks, _ = recalibrated(tmp_path, method)
    for name, state in networks.items():
        hidden = hidden_units(GENERATED[name], train.inputs)
        penalty = 0.1 * np.square(hidden - hidden.mean(axis=0)).sum(axis=0).mean()
        theirs = Ridge(alpha=penalty).fit(hidden, np.eye(3)[train.targets])
        weight = state["layers.1.weight"].astype(float)
        factor = np.linalg.norm(weight) / np.linalg.norm(theirs.coef_)
        np.testing.assert_allclose(weight, factor * theirs.coef_, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(state["layers.0.weight"], GENERATED[name]["layers.0.weight"])


def test_repaired_units_have_the_statistics_of_training_networks(tmp_path: Path) -> None:
    train = Dataset.load(iris(tmp_path)).train
    networks, _ = recalibrated(tmp_path, {"method": "repair", "examples": len(train)})

    def moments(state: State) -> np.ndarray:
        sums = train.inputs.astype(float) @ state["layers.0.weight"].T + state["layers.0.bias"]
        return np.array([sums.mean(axis=0), sums.std(axis=0)])

    expected = np.mean([moments(state) for state in ZOO.values()], axis=0)
    for state in networks.values():
        np.testing.assert_allclose(moments(state), expected, rtol=1e-3, atol=1e-3)


def test_methods_follow_each_other_and_fit_the_training_examples_better(tmp_path: Path) -> None:
    networks, manifest = recalibrated(
        tmp_path,
        {"method": "repair"},
        {"method": "fine_tune", "steps": 60, "lr": 0.02, "examples": None, "batch_size": 108},
    )
    train = Dataset.load(tmp_path / "data.npz").train
    rows = np.arange(len(train))
    for name, state in networks.items():
        losses = [
            -log_probabilities(one, train.inputs)[rows, train.targets].mean()
            for one in (state, GENERATED[name])
        ]
        assert losses[0] < losses[1] / 2
    assert manifest.failed == ("net-9",)


def test_a_network_whose_file_changed_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"net-1\.safetensors: SHA-256 is"):
        recalibrated(tmp_path, {"method": "last_layer"}, damaged="net-1")
    assert not (tmp_path / "repaired").exists()
