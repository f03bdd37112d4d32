"""Training many networks at once is training each of them alone."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interrupting import Interrupted, InterruptedCheckpoint
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architectures.base import Activation
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.config.zoo import Augmentation, NetworkPlan, TrainingConfig
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.metrics.scores import score_split
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.checkpoint import Checkpoint
from dwf_steps.zoo.training import (
    TrainedNetworks,
    batches_per_epoch,
    initial_networks,
    shuffled_orders,
    train_networks,
)

CPU = torch.device("cpu")
BATCHES = 6  # an epoch
KINDS = ("default", "he", "xavier", "uniform", "normal")
OPTIMIZERS: list[dict[str, Any]] = [
    {"optimizer": "adam", "lr": 0.01, "weight_decay": 0.01},
    {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1},
    {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01},
]


@cache
def iris() -> Dataset:
    return load_dataset("iris", SplitsConfig(validation=0.25), Path("nowhere"))


def architecture_of(activation: Activation = "relu") -> MLPArchitecture:
    return build(MLPConfig(widths=[4, 8, 6, 3], activation=activation))


def plans(n: int = 6) -> list[NetworkPlan]:
    return [NetworkPlan(name=f"seed-{s}", seed=s, initialisation=KINDS[s % 5]) for s in range(n)]


def train(
    training: dict[str, Any],
    networks: list[NetworkPlan] | None = None,
    checkpoint: Checkpoint | None = None,
    activation: Activation = "relu",
    keep: Sequence[int] = (),
) -> TrainedNetworks:
    config = TrainingConfig.model_validate({"batch_size": 16, "lr": 0.01, "epochs": 4, **training})
    chosen = plans() if networks is None else networks
    return train_networks(architecture_of(activation), iris(), chosen, config, CPU, checkpoint, keep=keep)


def assert_same(first: TrainedNetworks, second: TrainedNetworks) -> None:
    for name, value in first.networks.items():
        assert torch.equal(value, second.networks[name]), name
    np.testing.assert_array_equal(first.epochs, second.epochs)


def train_alone(
    plan: NetworkPlan, training: dict[str, Any], activation: Activation, order_of: int
) -> dict[str, Tensor]:
    """Train one module as a textbook does, on the batches that the workflow draws."""
    architecture, split = architecture_of(activation), iris().train
    module = architecture.module()
    generator = torch_generator("initial weights", plan.seed)
    module.load_state_dict(architecture.initial_state(plan.initialisation, generator))
    optimizers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    settings = {key: value for key, value in training.items() if key != "optimizer"}
    optimizer = optimizers[training["optimizer"]](module.parameters(), **settings)
    inputs, targets = torch.from_numpy(split.inputs), torch.from_numpy(split.targets)
    for epoch in range(4):
        order = torch.randperm(len(split), generator=torch_generator("batches", order_of, epoch))
        for batch in order.split(16):
            optimizer.zero_grad()
            F.cross_entropy(module(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    return module.state_dict()


@pytest.mark.parametrize("training", OPTIMIZERS, ids=lambda training: training["optimizer"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("batches", ["own", "shared"])
def test_every_network_is_the_one_that_a_plain_loop_trains(
    training: dict[str, Any], activation: Activation, batches: str
) -> None:
    assert len(iris().train) % 16 != 0
    at_once = train(training | {"batches": batches}, plans(5), activation=activation)
    for i, plan in enumerate(plans(5)):
        order_of = plan.seed if batches == "own" else 0
        for name, value in train_alone(plan, training, activation, order_of).items():
            torch.testing.assert_close(at_once.networks[name][i], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", OPTIMIZERS, ids=lambda training: training["optimizer"])
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("batches", ["own", "shared"])
def test_a_network_is_the_same_whatever_its_shard(training: dict[str, Any], size: int, batches: str) -> None:
    training = training | {"batches": batches}
    at_once = train(training)
    shards = [train(training, plans()[i : i + size]) for i in range(0, 6, size)]
    for name, value in at_once.networks.items():
        found = torch.cat([shard.networks[name] for shard in shards])
        torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-5)


def test_shared_batches_are_those_of_seed_0_augmented_too() -> None:
    dataset = load_dataset("digits", SplitsConfig(), Path("nowhere"))
    config = TrainingConfig(epochs=1, augmentation=Augmentation(crop=1))
    architecture, two = build(MLPConfig(widths=[64, 4, 10])), plans(2)
    own = train_networks(architecture, dataset, two, config, CPU).networks
    config = config.model_copy(update={"batches": "shared"})
    for name, value in train_networks(architecture, dataset, two, config, CPU).networks.items():
        torch.testing.assert_close(value[0], own[name][0], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(value[1], own[name][1], rtol=1e-2, atol=1e-3)


def test_training_moves_every_parameter_of_every_network() -> None:
    before, after = initial_networks(architecture_of(), plans()), train({}).networks
    for name, value in before.items():
        assert (after[name] != value).flatten(1).any(dim=1).all()


def test_networks_learn_iris() -> None:
    trained = train({"epochs": 40, "lr": 0.02})
    scores = score_split(architecture_of(), trained.networks, iris().test)
    assert scores.accuracy.min() >= 0.9
    assert trained.epochs.tolist() == [40] * 6


def test_no_epochs_keep_the_initial_networks() -> None:
    trained = train({"epochs": 0})
    for name, value in initial_networks(architecture_of(), plans()).items():
        assert torch.equal(trained.networks[name], value)
    assert trained.epochs.tolist() == [0] * 6


def test_initial_networks_depend_on_seed_and_kind_alone() -> None:
    at_once = initial_networks(architecture_of(), plans())
    for i, plan in enumerate(plans()):
        alone = initial_networks(architecture_of(), [plan])
        assert all(torch.equal(alone[name][0], value[i]) for name, value in at_once.items())
    # Seeds 0 and 5 share their initialisation and differ all the same.
    assert not torch.equal(at_once["layers.0.weight"][0], at_once["layers.0.weight"][5])


def test_orders_are_permutations_of_seed_and_epoch() -> None:
    orders = shuffled_orders(50, range(3), epoch=2)
    assert torch.equal(orders.sort(dim=1).values, torch.arange(50).expand(3, -1))
    assert len({tuple(order) for order in orders.tolist()}) == 3
    assert torch.equal(shuffled_orders(50, [2], epoch=2)[0], orders[2])
    assert not torch.equal(shuffled_orders(50, range(3), epoch=3), orders)


def test_training_does_not_touch_or_read_the_global_generator() -> None:
    before = torch.get_rng_state()
    first = train({})
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert_same(first, train({}))


def best_epochs(losses: np.ndarray, patience: int) -> list[int]:
    """Return the epoch each network keeps, from its validation losses (epochs, n) after each epoch."""
    kept = []
    for own in losses.T:
        best = 0
        for epoch in range(1, len(own) + 1):
            if epoch - best > patience:
                break
            if best == 0 or own[epoch - 1] < own[best - 1]:
                best = epoch
        kept.append(best)
    return kept


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_patience_keeps_each_networks_best_epoch_on_validation(patience: int) -> None:
    epochs, settings = 12, {"lr": 0.08}
    history = [train({**settings, "epochs": e}).networks for e in range(1, epochs + 1)]
    losses = np.stack([score_split(architecture_of(), p, iris().validation).loss for p in history])
    expected = best_epochs(losses, patience)
    assert len(set(expected)) > 1
    assert min(expected) < epochs
    trained = train({**settings, "epochs": epochs, "patience": patience})
    assert trained.epochs.tolist() == expected
    for name, value in trained.networks.items():
        kept = torch.stack([history[epoch - 1][name][i] for i, epoch in enumerate(expected)])
        assert torch.equal(value, kept)


def test_patience_of_a_network_does_not_depend_on_the_others() -> None:
    settings = {"lr": 0.08, "epochs": 12, "patience": 2}
    at_once = train(settings)
    for i, plan in enumerate(plans()):
        alone = train(settings, [plan])
        assert alone.epochs[0] == at_once.epochs[i]
        for name, value in alone.networks.items():
            torch.testing.assert_close(value[0], at_once.networks[name][i], rtol=1e-3, atol=1e-4)


def test_training_ends_when_no_network_waits(progress_lines: pytest.LogCaptureFixture) -> None:
    caplog = progress_lines
    trained = train({"lr": 0.08, "epochs": 60, "patience": 2})
    epochs = trained.epochs.max() + 2
    assert epochs < 60
    assert f"batch {epochs * BATCHES}/{60 * BATCHES}, epoch {epochs}/60" in caplog.messages[-1]
    assert "no network improved for 2 epochs" in caplog.text


@pytest.mark.parametrize("training", OPTIMIZERS, ids=lambda training: training["optimizer"])
@pytest.mark.parametrize("saves", [1, BATCHES - 1, BATCHES, BATCHES + 2, 6 * BATCHES])
@pytest.mark.parametrize("patience", [None, 2])
def test_an_interrupted_run_resumes_bit_for_bit(
    tmp_path: Path, training: dict[str, Any], saves: int, patience: int | None
) -> None:
    settings = {**training, "epochs": 6, "patience": patience}
    with pytest.raises(Interrupted):
        train(settings, checkpoint=InterruptedCheckpoint(tmp_path / "c", "run", saves))
    state = Checkpoint(tmp_path / "c", "run").load()
    assert state is not None
    assert state["epoch"] * BATCHES + state["batch"] == saves
    assert_same(train(settings, checkpoint=Checkpoint(tmp_path / "c", "run", every=0)), train(settings))


def test_checkpoints_are_what_training_would_have_ended_with() -> None:
    kept = train({}, keep=[BATCHES, 3 * BATCHES]).checkpoints
    for place, epochs in enumerate([1, 3]):
        for name, value in train({"epochs": epochs}).networks.items():
            assert torch.equal(kept[name][:, place], value)


def test_a_resumed_run_has_the_checkpoints_from_before(tmp_path: Path) -> None:
    keep = [3, 2 * BATCHES, 4 * BATCHES]
    with pytest.raises(Interrupted):
        train({}, checkpoint=InterruptedCheckpoint(tmp_path / "c", "run", 2 * BATCHES + 2), keep=keep)
    resumed = train({}, checkpoint=Checkpoint(tmp_path / "c", "run"), keep=keep).checkpoints
    for name, value in train({}, keep=keep).checkpoints.items():
        assert value.shape[:2] == (6, 3)
        assert torch.equal(resumed[name], value)


def test_checkpoints_after_the_end_are_an_error() -> None:
    with pytest.raises(InputError, match="batch 25, but training ends after 24 batches, when 1 are kept"):
        train({}, keep=[5, 25])


def test_a_resumed_run_does_not_repeat_what_is_done(
    tmp_path: Path, progress_lines: pytest.LogCaptureFixture
) -> None:
    caplog = progress_lines
    with pytest.raises(Interrupted):
        train({}, checkpoint=InterruptedCheckpoint(tmp_path / "c", "run", 3 * BATCHES + 2))
    caplog.clear()
    train({}, checkpoint=Checkpoint(tmp_path / "c", "run"))
    assert "resumed after batch 2 of epoch 4" in caplog.text
    counted = [message.split(",")[0] for message in caplog.messages if message.startswith("batch ")]
    assert counted == [f"batch {i}/{4 * BATCHES}" for i in range(3 * BATCHES + 3, 4 * BATCHES + 1)]


def test_another_runs_checkpoint_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train({"lr": 0.05}, checkpoint=InterruptedCheckpoint(tmp_path / "c", "lr 0.05", 2))
    found = train({}, checkpoint=Checkpoint(tmp_path / "c", "lr 0.01", every=1e9))
    assert_same(found, train({}))


def test_a_damaged_checkpoint_starts_from_the_beginning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "c"
    with pytest.raises(Interrupted):
        train({}, checkpoint=InterruptedCheckpoint(path, "run", 2))
    path.write_bytes(path.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        found = train({}, checkpoint=Checkpoint(path, "run", every=1e9))
    assert f"{path} is damaged" in caplog.text
    assert_same(found, train({}))


def normalised(target: str = "with_batch_norm", shape: Sequence[int] = (4,)) -> Architecture:
    return build(
        ModuleConfig.model_validate({"import": f"own_networks:{target}", "shape": shape, "classes": 3})
    )


def flowers(m: int) -> Dataset:
    return replace(iris(), train=iris().train.first(m))


def train_normalised(m: int, batch_size: int, **more: Any) -> TrainedNetworks:
    config = TrainingConfig(optimizer="sgd", momentum=0.9, batch_size=batch_size, lr=0.05, epochs=3)
    kinds = [plan.model_copy(update={"initialisation": "default"}) for plan in plans(2)]
    return train_networks(normalised(), flowers(m), kinds, config, CPU, **more)


def test_batch_normalisation_leaves_out_a_last_batch_of_one() -> None:
    """A loop over the whole batches trains the same networks: by SGD, since a bias before batch normalisation
    has no gradient but rounding, which Adam would scale up."""
    architecture, dataset, plan = normalised(), flowers(33), plans(1)[0]
    module = architecture.module()
    module.load_state_dict(
        architecture.initial_state("default", torch_generator("initial weights", plan.seed))
    )
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    inputs, targets = torch.from_numpy(dataset.train.inputs), torch.from_numpy(dataset.train.targets)
    for epoch in range(3):
        order = torch.randperm(33, generator=torch_generator("batches", plan.seed, epoch))
        for batch in order[:32].split(16):
            optimizer.zero_grad()
            F.cross_entropy(module(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    trained = train_normalised(33, 16).networks
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(trained[name][0], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "examples", "batches"),
    [
        (normalised(), 33, 2),
        (normalised(), 34, 3),
        (normalised(), 32, 2),
        (normalised(), 1, 1),
        (normalised("plain"), 33, 3),
        (normalised("deep_batch_norm", (3, 5, 5)), 33, 3),
        (build(MLPConfig(widths=[4, 8, 3])), 33, 3),
    ],
)
def test_only_networks_that_need_two_examples_leave_one_out(
    architecture: Architecture, examples: int, batches: int
) -> None:
    assert batches_per_epoch(architecture, flowers(examples), TrainingConfig(batch_size=16)) == batches


def test_resuming_and_checkpoints_count_batches_without_the_one_left_out(tmp_path: Path) -> None:
    keep = [1, 2, 4, 6]  # 6 is the end of the third epoch
    whole = train_normalised(33, 16, keep=keep)
    for name, value in whole.networks.items():
        assert torch.equal(whole.checkpoints[name][:, -1], value)
    for saves in (1, 2, 3):
        path = tmp_path / str(saves)
        with pytest.raises(Interrupted):
            train_normalised(33, 16, keep=keep, checkpoint=InterruptedCheckpoint(path, "run", saves))
        resumed = train_normalised(33, 16, keep=keep, checkpoint=Checkpoint(path, "run"))
        assert_same(resumed, whole)
        for name, value in whole.checkpoints.items():
            assert torch.equal(resumed.checkpoints[name], value)
    with pytest.raises(InputError, match="follows batch 7, but training ends after 6 batches"):
        train_normalised(33, 16, keep=[7])


@pytest.mark.parametrize(("examples", "batch_size"), [(33, 1), (1, 16)])
def test_batches_of_one_alone_are_an_input_error(examples: int, batch_size: int) -> None:
    with pytest.raises(
        InputError, match="batch_size: found a batch of 1 example, expected at least 2, because"
    ):
        train_normalised(examples, batch_size)


@pytest.mark.parametrize("patience", [None, 3])
def test_diverging_networks_are_named(patience: int | None) -> None:
    settings = {"optimizer": "sgd", "lr": 1e30, "patience": patience}
    with pytest.raises(FloatingPointError, match=r"2 of 2 networks .* epoch 1: seed-0, seed-1; lower"):
        train(settings, plans(2))


def test_only_the_diverging_networks_are_named() -> None:
    # One example far away: a network whose hidden unit is silent on it learns no more than its biases.
    far = Split(np.full((1, 4), 1e20, np.float32), np.zeros(1, np.int64))
    chosen = [
        NetworkPlan(name=name, seed=one_unit_seed(silent), initialisation="normal")
        for name, silent in (("silent", True), ("active", False))
    ]
    config = TrainingConfig(optimizer="sgd", lr=1e13, batch_size=1, epochs=1)
    with pytest.raises(FloatingPointError, match=r"^1 of 2 networks .* after epoch 1: active; lower"):
        train_networks(one_unit(), Dataset(far, far, far), chosen, config, CPU)


def test_networks_that_are_finite_but_beyond_all_use_are_named_too() -> None:
    near = Split(np.ones((1, 4), np.float32), np.zeros(1, np.int64))
    config = TrainingConfig(optimizer="sgd", lr=1e17, batch_size=1, epochs=1)
    with pytest.raises(
        FloatingPointError, match=r"not finite, or larger than 1e\+15, after epoch 1: seed-0,"
    ):
        train_networks(one_unit(), Dataset(near, near, near), plans(2), config, CPU)


def one_unit() -> MLPArchitecture:
    return build(MLPConfig(widths=[4, 1, 3]))


def one_unit_seed(silent: bool) -> int:
    """Return a seed whose hidden unit is silent on positive inputs, or active and wrong about class 0."""
    for seed in range(1000):
        network = one_unit().initial_state("normal", torch_generator("initial weights", seed))
        active = network["layers.0.weight"].sum() > 0
        if active != silent and network["layers.1.weight"].argmax() != 0:
            return seed
    raise LookupError
