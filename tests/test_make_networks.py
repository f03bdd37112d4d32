"""Networks made without the zoo: none of its seeds, the right number of steps, one trajectory."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_zoo import WIDTHS, random_networks, stack

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.config.zoo import FIRST_SEED, NetworkPlan, TrainingConfig
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.make_networks import MakeNetworks, make_networks, plans
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest, Record
from dwf_steps.storage.networks import load_state
from dwf_steps.zoo.training import initial_networks, train_networks

ARCHITECTURE = build(MLPConfig(widths=[4, 6, 3]))
TRAINING = {"lr": 0.01, "batch_size": 16, "epochs": 8}
BATCHES = 7  # an epoch of 108 training examples


def settings(generator: dict[str, Any], **more: Any) -> MakeNetworks:
    return MakeNetworks.model_validate(
        {
            "generator": generator,
            "architecture": {"widths": [4, 6, 3]},
            "training": TRAINING,
            "initialisations": ["he", "default"],
            "first": 0,
            "count": 3,
        }
        | more
    )


def made(
    tmp_path: Path, asked: MakeNetworks, *costs: list[Path], weights: Path | None = None
) -> tuple[list[dict], Manifest]:
    data = tmp_path / "data.npz" if asked.generator.reads_data else None
    if data is not None:
        load_dataset("iris", SplitsConfig(), None).save(data)
    make_networks(asked, tmp_path / "shard-0", tmp_path / "shard-0.json", data, *costs, weights=weights)
    manifest = Manifest.read(tmp_path / "shard-0.json")
    return [load_state(path) for path in manifest.verified_files()], manifest


def trained(steps: int) -> dict[str, np.ndarray]:
    """Train the same networks by the zoo's own means."""
    dataset = load_dataset("iris", SplitsConfig(), None)
    names = [
        NetworkPlan(name=str(i), seed=FIRST_SEED + i, initialisation=("he", "default")[i % 2])
        for i in range(3)
    ]
    config = TrainingConfig.model_validate(TRAINING)
    result = train_networks(ARCHITECTURE, dataset, names, config, torch.device("cpu"), steps=steps)
    return result.networks.numpy()


def assert_equal(networks: list[dict], expected: dict[str, np.ndarray]) -> None:
    for i, network in enumerate(networks):
        for name, value in expected.items():
            np.testing.assert_allclose(network[name], value[i], rtol=1e-4, atol=1e-6)


def test_untrained_networks_are_as_they_were_drawn(tmp_path: Path) -> None:
    control = settings({"kind": "random_init"}, initialisations=["xavier"], training=None)
    networks, manifest = made(tmp_path, control)
    assert [record.name for record in manifest.networks] == ["sample-0", "sample-1", "sample-2"]
    assert manifest.facts == {"steps": 0}
    drawn = initial_networks(ARCHITECTURE, plans(control))
    assert_equal(networks, drawn.numpy())


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, round(0.5 * BATCHES)), (2.0, 2 * BATCHES), (0.0, 0)])
def test_a_part_of_the_training_is_a_number_of_steps(tmp_path: Path, epochs: float, steps: int) -> None:
    networks, manifest = made(tmp_path, settings({"kind": "retrained", "epochs": epochs}))
    assert manifest.facts == {"steps": steps}
    assert_equal(networks, trained(steps))


def benchmark(path: Path, seconds: float) -> Path:
    pd.DataFrame({"s": [seconds]}).to_csv(path, sep="\t", index=False)
    return path


@pytest.mark.parametrize(("seconds", "share"), [(3.0, 3 / 24), (1e-6, 1 / (8 * BATCHES)), (500.0, 1.0)])
def test_equal_cost_is_the_share_of_the_training_that_takes_as_long(
    tmp_path: Path, seconds: float, share: float
) -> None:
    """Two jobs took half of it each, for 6 networks; the zoo's 5 networks took 20 seconds."""
    generating = [benchmark(tmp_path / f"{name}.tsv", seconds / 2) for name in ("sample", "decode")]
    training = [benchmark(tmp_path / "train.tsv", 20.0)]
    control = {"kind": "retrained", "equal_cost_to": "flow"}
    asked = settings(control, cost_matched={"samples": 6, "trainings": 5})
    _, manifest = made(tmp_path, asked, generating, training, [])
    assert manifest.facts["steps"] == round(share * 8 * BATCHES)


def test_equal_cost_counts_the_epochs_that_the_zoo_was_trained_for(tmp_path: Path) -> None:
    """With a patience of 2 the first shard ended after 5 of 8 epochs, the second after all."""
    zoo = [tmp_path / f"zoo-{shard}.json" for shard in range(2)]
    for path, epochs in zip(zoo, ([3, 2], [7, 1]), strict=True):
        Manifest(path, tuple(Record(str(e), "", {"epochs": e}) for e in epochs)).write()
    costs = [[benchmark(tmp_path / f"{name}.tsv", seconds)] for name, seconds in (("made", 3), ("zoo", 24))]
    control = {"kind": "retrained", "equal_cost_to": "flow"}
    asked = settings(
        control, training=TRAINING | {"patience": 2}, cost_matched={"samples": 1, "trainings": 1}
    )
    _, manifest = made(tmp_path, asked, *costs, zoo)
    assert manifest.facts["steps"] == round(6.5 * BATCHES * 3 / 24)


def test_snapshots_lie_on_one_trajectory(tmp_path: Path) -> None:
    control = {"kind": "snapshots", "skip_epochs": 1, "every_epochs": 0.5}
    networks, manifest = made(tmp_path, settings(control))
    assert manifest.facts == {"steps": 2 * BATCHES}
    for network, steps in zip(networks, (BATCHES, round(1.5 * BATCHES), 2 * BATCHES), strict=True):
        assert_equal([network], trained(steps))


def test_networks_may_be_taught_by_the_zoos_training_networks(tmp_path: Path) -> None:
    control = {"kind": "distilled", "probes": 30, "training": {"steps": 6, "batch_size": 8}}
    asked = settings(control, architecture={"widths": WIDTHS})
    with pytest.raises(InputError, match="--weights is missing"):
        made(tmp_path, asked)
    states = []
    for held_out in (0, 2):
        weights = stack(tmp_path / str(held_out), random_networks(6), held_out)
        states.append(made(tmp_path, asked, weights=weights)[0])
    assert any(
        not np.allclose(one[name], other[name]) for one, other in zip(*states, strict=True) for name in one
    )
    labels, manifest = made(tmp_path, settings(control | {"targets": "labels"}))
    assert manifest.facts == {"steps": 6}
    assert len(labels) == 3


def test_shards_share_out_the_same_networks_and_no_seed_is_the_zoos() -> None:
    whole = plans(settings({"kind": "random_init"}, count=5))
    parts = [plans(settings({"kind": "random_init"}, first=f, count=c)) for f, c in ((0, 2), (2, 3))]
    assert whole == parts[0] + parts[1]
    other = plans(settings({"kind": "random_init", "sampling": {"seed": 1}}, count=5))
    assert {p.seed for p in whole}.isdisjoint(p.seed for p in other)
    assert min(p.seed for p in whole) > 10**8
    assert json.dumps([p.initialisation for p in whole]) == '["he", "default", "he", "default", "he"]'
