"""Transfers treat all networks alike; data are adapted to the networks, heads replaced, layers frozen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dwf_steps.architectures import build
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.transfer import TransferConfig
from dwf_steps.config.zoo import NetworkPlan, TrainingConfig
from dwf_steps.datasets.adapting import renamed, scaled
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.metrics.scores import score_split
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import unstack, write_shard
from dwf_steps.transfer import Transfer, transfer
from dwf_steps.zoo.heads import with_new_head
from dwf_steps.zoo.training import initial_networks, train_networks

ARCHITECTURE = MLPConfig(widths=[4, 8, 3])
CPU = torch.device("cpu")


def plans(n: int) -> list[NetworkPlan]:
    return [NetworkPlan(name=f"seed-{i}", seed=i, initialisation="default") for i in range(n)]


def shard(folder: Path, n: int, failed: tuple[str, ...] = ()) -> Path:
    architecture = build(ARCHITECTURE)
    arrays = initial_networks(architecture, plans(n)).numpy()
    names = [name for i in range(n + len(failed)) if (name := f"sample-{i}") not in failed]
    write_shard(
        folder / "shard-0", folder / "shard-0.json", unstack(names, arrays), ARCHITECTURE.model_dump(), failed
    )
    return folder / "shard-0.json"


def settings(**changes: object) -> Transfer:
    config = {"dataset": "iris", "training": {"epochs": 2, "lr": 0.05}, "networks": 3, **changes}
    return Transfer.model_validate({"architecture": ARCHITECTURE.model_dump(), "transfer": config})


def transferred(folder: Path, manifest: Path, **changes: object) -> pd.DataFrame:
    chosen = settings(**changes)
    load_dataset("iris", chosen.transfer.splits, None).save(folder / "data.npz")
    transfer(chosen, folder / "data.npz", [manifest], folder / "out.csv")
    return pd.read_csv(folder / "out.csv").set_index(["network", "epoch"])


def test_epoch_zero_is_the_network_itself_and_later_ones_are_better(tmp_path: Path) -> None:
    frame = transferred(tmp_path, shard(tmp_path, 4))
    dataset = load_dataset("iris", settings().transfer.splits, None)
    scores = score_split(build(ARCHITECTURE), initial_networks(build(ARCHITECTURE), plans(3)), dataset.test)
    for i in range(3):
        assert frame.accuracy[f"sample-{i}", 0] == pytest.approx(scores.accuracy[i])
        assert frame.loss[f"sample-{i}", 0] == pytest.approx(scores.loss[i], rel=1e-5)
        assert frame.loss[f"sample-{i}", 2] < frame.loss[f"sample-{i}", 0]
    assert len(frame) == 9


def test_epochs_are_counted_without_a_last_batch_of_one(tmp_path: Path) -> None:
    config = ModuleConfig.model_validate(
        {"import": "own_networks:with_batch_norm", "shape": [4], "classes": 3}
    )
    architecture = build(config)
    networks = initial_networks(architecture, plans(2)).numpy()
    write_shard(
        tmp_path / "shard-0",
        tmp_path / "shard-0.json",
        unstack(["sample-0", "sample-1"], networks),
        config.model_dump(),
        (),
        buffers=architecture.buffers,
    )
    # Of 108 training examples 107 are a batch.
    chosen = settings(training={"epochs": 2, "lr": 0.05, "batch_size": 107}, networks=2)
    chosen = chosen.model_copy(update={"architecture": config})
    load_dataset("iris", chosen.transfer.splits, None).save(tmp_path / "data.npz")
    transfer(chosen, tmp_path / "data.npz", [tmp_path / "shard-0.json"], tmp_path / "out.csv")
    frame = pd.read_csv(tmp_path / "out.csv")
    assert frame.epoch.tolist() == [0, 1, 2] * 2 and not frame.failed.any()
    assert frame.loss.nunique() == 6


def test_a_network_is_tuned_alike_whatever_others_are_with_it(tmp_path: Path) -> None:
    frame = transferred(tmp_path, shard(tmp_path, 4), networks=2)
    alone = transferred(tmp_path, tmp_path / "shard-0.json", networks=1)
    assert alone.loss["sample-0", 2] == pytest.approx(frame.loss["sample-0", 2], rel=1e-4)


def test_failed_networks_are_counted(tmp_path: Path) -> None:
    frame = transferred(tmp_path, shard(tmp_path, 2, failed=("sample-1",)))
    assert frame.failed.groupby("network").all().to_dict() == {
        "sample-0": False,
        "sample-1": True,
        "sample-2": False,
    }
    nothing = transferred(
        tmp_path / "b", shard(tmp_path / "b", 1, failed=("sample-1", "sample-2")), networks=3
    )
    assert nothing.failed.sum() == 6


def test_frozen_parameters_stay() -> None:
    architecture = build(ARCHITECTURE)
    start = initial_networks(architecture, plans(2))
    frozen = ["layers.0.weight", "layers.0.bias"]
    dataset = load_dataset("iris", settings().transfer.splits, None)
    after = train_networks(
        architecture, dataset, plans(2), TrainingConfig(epochs=1), CPU, start=start, frozen=frozen
    ).networks
    for name, value in start.items():
        assert torch.equal(after[name], value) == (name in frozen)
        assert not value.requires_grad


@pytest.mark.parametrize(
    "config", [ARCHITECTURE, ResNetConfig(kind="resnet20", width_multiplier=0.1, classes=3)]
)
def test_a_new_head_replaces_the_last_layer_alone(config: MLPConfig | ResNetConfig) -> None:
    before = initial_networks(build(config), plans(3))
    architecture, after = with_new_head(config, before, 7, [5, 6, 7])
    assert architecture.config.classes == 7
    last = {"layers.1.weight", "layers.1.bias"} if isinstance(config, MLPConfig) else {"fc.weight", "fc.bias"}
    for name, value in before.items():
        if name in last:
            assert after[name].shape[1] == 7
        else:
            assert torch.equal(after[name], value)
    _, again = with_new_head(config, before.select([0, 2]), 7, [5, 7])
    for name in last:
        assert torch.equal(again[name], after[name][[0, 2]])
        if name.endswith("weight"):
            assert not torch.equal(after[name][0], after[name][1])


def images(n: int, size: int) -> Split:
    draws = np.random.default_rng(n)
    return Split(draws.normal(size=(n, 3 * size**2)).astype(np.float32), np.arange(n) % 4)


def data(size: int = 6) -> Dataset:
    return Dataset(images(8, size), images(12, size), images(16, size), shape=(3, size, size))


def test_classes_are_called_by_their_outputs_and_some_left_out() -> None:
    before = data()
    after = renamed(before, [5, None, 0, 5])
    kept = before.test.targets != 1
    np.testing.assert_array_equal(after.test.targets, np.array([5, -1, 0, 5])[before.test.targets[kept]])
    np.testing.assert_array_equal(after.test.inputs, before.test.inputs[kept])
    with pytest.raises(InputError, match="classes: found 2, but the data have 4 classes"):
        renamed(before, [0, 1])


def test_images_are_scaled_and_a_constant_one_stays() -> None:
    before = data()
    before.test.inputs[0] = 3.5
    after = scaled(before, 3)
    assert after.shape == (3, 3, 3) and after.train.inputs.shape == (8, 27)
    np.testing.assert_allclose(after.test.inputs[0], 3.5, rtol=1e-6)
    assert after.test.inputs[1].mean() == pytest.approx(before.test.inputs[1].mean(), abs=0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"patience": 3}}, "a transfer keeps every epoch"),
        ({"head": "new", "classes": [0, 1]}, "a new head has an output for each class"),
    ],
)
def test_what_contradicts_itself_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransferConfig.model_validate({"dataset": "iris", **change})
