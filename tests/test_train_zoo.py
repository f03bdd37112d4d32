"""A shard's networks are those of their seeds, trained as PyTorch trains one alone, with their scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_zoo import ARCHITECTURE, State, iris, log_probabilities
from torch import nn

from dwf_steps.datasets.splits import Dataset
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state
from dwf_steps.train_zoo import TrainZoo, train_zoo

WHOLE = 1000  # examples a step: all there are


def trained(
    folder: Path, first: int = 0, count: int = 3, **changes: Any
) -> tuple[dict[str, State], Manifest]:
    """Train a shard; return its networks by name, and its manifest."""
    name = f"shard-{len(list(folder.glob('shard-*.json')))}"
    settings = {
        "architecture": ARCHITECTURE,
        "training": {"lr": 0.05, "batch_size": WHOLE, "epochs": 3},
        "initialisations": ["default", "he"],
        "first": first,
        "count": count,
    }
    data = folder / "data.npz" if (folder / "data.npz").exists() else iris(folder)
    train_zoo(TrainZoo.model_validate(settings | changes), data, folder / name, folder / f"{name}.json")
    manifest = Manifest.read(folder / f"{name}.json")
    return {path.stem: load_state(path) for path in manifest.verified_files()}, manifest


def test_training_is_that_of_a_single_module_by_pytorchs_optimiser(tmp_path: Path) -> None:
    start, _ = trained(tmp_path, training={"epochs": 0})
    end, manifest = trained(tmp_path)
    data = Dataset.load(tmp_path / "data.npz")
    inputs, targets = torch.from_numpy(data.train.inputs), torch.from_numpy(data.train.targets)
    assert list(end) == list(start) and len(end) == 3
    for name, state in start.items():
        module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
        parameters = dict(zip(("0.weight", "0.bias", "2.weight", "2.bias"), module.parameters(), strict=True))
        with torch.no_grad():
            for key, parameter in parameters.items():
                parameter.copy_(torch.from_numpy(state[f"layers.{int(key[0]) // 2}{key[1:]}"]))
        optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs), targets).backward()
            optimizer.step()
        for key, parameter in parameters.items():
            found = end[name][f"layers.{int(key[0]) // 2}{key[1:]}"]
            np.testing.assert_allclose(found, parameter.detach().numpy(), rtol=1e-3, atol=1e-4)
    assert {record.facts["epochs"] for record in manifest.networks} == {3}


def test_scores_of_every_split_stand_beside_seed_and_initialisation(tmp_path: Path) -> None:
    networks, manifest = trained(tmp_path)
    data = Dataset.load(tmp_path / "data.npz")
    for record in manifest.networks:
        for part in ("train", "validation", "test"):
            split = getattr(data, part)
            found = log_probabilities(networks[record.name], split.inputs)
            loss = -found[np.arange(len(split)), split.targets].mean()
            assert record.facts[f"{part}_loss"] == pytest.approx(loss, rel=1e-4)
            assert record.facts[f"{part}_accuracy"] == (found.argmax(axis=1) == split.targets).mean()
    origins = [(record.facts["seed"], record.facts["initialisation"]) for record in manifest.networks]
    assert origins == [(0, "default"), (1, "he"), (2, "default")]


def test_how_seeds_are_divided_over_shards_changes_no_network(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path, training={"batch_size": 16, "epochs": 2})
    parts = [
        trained(tmp_path, first, count, training={"batch_size": 16, "epochs": 2})[0]
        for first, count in ((0, 1), (1, 2))
    ]
    assert list(whole) == [name for part in parts for name in part]
    for name, state in (parts[0] | parts[1]).items():
        for key, array in state.items():
            np.testing.assert_allclose(array, whole[name][key], rtol=1e-4, atol=1e-6)


def test_what_does_not_fit_the_data_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"architecture\.widths.*but the data have 4 features and 3 classes"):
        trained(tmp_path, architecture={"widths": [5, 6, 3]})
    assert not (tmp_path / "shard-0").exists()
