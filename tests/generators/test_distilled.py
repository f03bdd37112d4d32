"""Distilled networks are those that a plain loop trains towards the zoo's mean prediction."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from interrupting import Interrupted, InterruptedCheckpoint
from tiny_zoo import WIDTHS, iris, log_probabilities, random_networks, stack

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.base import Work
from dwf_steps.config.generators.distilled import DistilledConfig
from dwf_steps.config.zoo import plans_of
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.generators.base import Tools
from dwf_steps.generators.distilled import Distilled
from dwf_steps.generators.network_maker import MadeNetworks, Request
from dwf_steps.metrics.scores import mean_answers, predictions_of
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage import networks as storage
from dwf_steps.storage.checkpoint import Checkpoint
from dwf_steps.tasks.classification import Classification

PROBES, BATCH, STEPS = 20, 8, 7  # three batches an epoch
TRAINING = {"steps": STEPS, "batch_size": BATCH, "lr": 0.02}
ZOO = random_networks(6)


def request_of(folder: Path, checkpoint: Checkpoint | None = None, **more: Any) -> Request:
    """Return a request for four networks of a zoo of six, two of them held out."""
    weights = folder / "weights.zarr"
    if not weights.exists():
        stack(folder, ZOO, held_out=2)
    tools = Tools(checkpoint or Checkpoint(folder / "no checkpoint", "run"), iris(folder))
    architecture = build(MLPConfig(widths=WIDTHS))
    asked = {"architecture": architecture, "plans": plans_of(range(4), ["default", "he"])}
    return Request(**asked | {"training": None, "tools": tools, "weights": weights} | more)


def distilled(request: Request, **settings: Any) -> MadeNetworks:
    config = {"kind": "distilled", "probes": PROBES, "seed": 5, "training": TRAINING} | settings
    with request.tools:
        return Distilled(DistilledConfig.model_validate(config)).make(request)


def taught(request: Request, probes: Split) -> np.ndarray:
    return mean_answers(request.architecture, request.matrix, probes, request.tools.device)


def mean_probabilities(inputs: np.ndarray) -> np.ndarray:
    """Return the mean prediction of the training networks, computed by NumPy."""
    return np.mean([np.exp(log_probabilities(ZOO[f"net-{i}"], inputs)) for i in range(4)], axis=0)


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_what_is_taught_is_the_mean_over_training_networks_however_many_are_read_at_once(
    tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(tmp_path)
    monkeypatch.setattr(storage, "NETWORKS_BYTES", 4 * at_once * request.architecture.layout.size)
    probes = choose_probes(request.dataset.train, PROBES, 5)
    found = taught(request, probes)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, mean_probabilities(probes.inputs), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_held_out_networks_are_not_read(tmp_path: Path) -> None:
    request = request_of(tmp_path)
    probes = choose_probes(request.dataset.train, PROBES, 5)
    before = taught(request, probes)
    changed = ZOO | {f"net-{i}": {n: 50 * v for n, v in ZOO["net-0"].items()} for i in (4, 5)}
    again = request_of(tmp_path, weights=stack(tmp_path / "changed", changed, held_out=2))
    np.testing.assert_array_equal(taught(again, probes), before)


def alone(seed: int, initialisation: Any, inputs: np.ndarray, targets: np.ndarray) -> dict[str, torch.Tensor]:
    """Train one module as a textbook does: Adam, half a cosine, towards probabilities or classes."""
    architecture = build(MLPConfig(widths=WIDTHS))
    module = architecture.module()
    module.load_state_dict(
        architecture.initial_state(initialisation, torch_generator("initial weights", seed))
    )
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    seen, wanted = torch.from_numpy(inputs), torch.from_numpy(targets)
    step = 0
    for epoch in range(3):
        order = torch.randperm(len(inputs), generator=torch_generator("batches", seed, epoch))
        for batch in order.split(BATCH):
            if step == STEPS:
                break
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(seen[batch]), wanted[batch]).backward()
            optimizer.step()
            schedule.step()
            step += 1
    return module.state_dict()


@pytest.mark.parametrize("targets", ["zoo", "labels"])
def test_every_network_is_the_one_that_a_plain_loop_trains_on_the_probes(
    tmp_path: Path, targets: str
) -> None:
    request = request_of(tmp_path)
    if targets == "labels":
        request = replace(request, weights=None)
    made = distilled(request, targets=targets)
    assert made.steps == STEPS
    probes = choose_probes(request.dataset.train, PROBES, 5)
    wanted = mean_probabilities(probes.inputs).astype(np.float32) if targets == "zoo" else probes.targets
    for i, plan in enumerate(request.plans):
        expected = alone(plan.seed, plan.initialisation, probes.inputs, wanted)
        for name, value in expected.items():
            torch.testing.assert_close(made.networks[name][i], value, rtol=1e-3, atol=1e-5)


def test_enough_steps_reach_the_zoos_prediction(tmp_path: Path) -> None:
    request = request_of(tmp_path)
    made = distilled(request, probes=60, training={"steps": 1500, "batch_size": 60, "lr": 0.05})
    probes = choose_probes(request.dataset.train, 60, 5)
    found = predictions_of(request.architecture, made.networks, probes.inputs, Classification())
    wanted = mean_probabilities(probes.inputs)
    divergence = (wanted * (np.log(wanted) - found.astype(float))).sum(axis=2).mean(axis=1)
    start = distilled(request, probes=60, training={"steps": 0})
    before = predictions_of(request.architecture, start.networks, probes.inputs, Classification())
    untrained = (wanted * (np.log(wanted) - before.astype(float))).sum(axis=2).mean(axis=1)
    assert (divergence < untrained / 20).all()


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = distilled(request_of(tmp_path))
    path = tmp_path / "checkpoint"
    with pytest.raises(Interrupted):
        distilled(request_of(tmp_path, InterruptedCheckpoint(path, "run", saves=4)))
    resumed = distilled(request_of(tmp_path, Checkpoint(path, "run")))
    for name, value in whole.networks.items():
        assert torch.equal(value, resumed.networks[name])


def test_numbers_are_learned_from_the_mean_number(tmp_path: Path) -> None:
    def numbers(split: Any) -> Any:
        return replace(split, targets=split.targets.astype(np.float32) / 2, task="regression", tolerance=0.25)

    request = request_of(tmp_path, architecture=build(MLPConfig(widths=[4, 5, 1])))
    Dataset.load(request.tools.data).with_splits(numbers).save(request.tools.data)
    zoo = {
        name: state
        | {"layers.1.weight": state["layers.1.weight"][:1], "layers.1.bias": state["layers.1.bias"][:1]}
        for name, state in ZOO.items()
    }
    request = replace(request, weights=stack(tmp_path / "numbers", zoo, held_out=2))
    probes = choose_probes(request.dataset.train, PROBES, 5)
    expected = np.zeros((PROBES, 1))
    for i in range(4):
        state = {name: value.astype(float) for name, value in zoo[f"net-{i}"].items()}
        hidden = np.maximum(probes.inputs @ state["layers.0.weight"].T + state["layers.0.bias"], 0)
        expected += (hidden @ state["layers.1.weight"].T + state["layers.1.bias"]) / 4
    np.testing.assert_allclose(taught(request, probes), expected, rtol=1e-4, atol=1e-5)
    errors = []
    for steps in (0, 800):
        made = distilled(request, training={"steps": steps, "batch_size": PROBES, "lr": 0.05})
        outputs = request.architecture.forward(made.networks, torch.from_numpy(probes.inputs)).numpy()
        errors.append(np.square(outputs - expected).mean(axis=(1, 2)))
    assert (errors[1] < 0.1 * errors[0]).all()


def test_networks_that_overflow_are_told(tmp_path: Path) -> None:
    request = request_of(tmp_path)
    array = zarr.open_array(tmp_path / "weights.zarr", mode="r+")
    rows = np.asarray(array[:])
    rows[1] *= 1e30
    array[:] = rows
    with pytest.raises(InputError, match=r"weights\.zarr: the training networks' mean prediction is not"):
        distilled(request)


def test_more_probes_than_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="probes: found 1000, but the data have 108 training examples"):
        distilled(request_of(tmp_path), probes=1000)


def test_what_is_asked_for_grows_with_the_steps_and_with_what_the_zoo_is_asked() -> None:
    sizes: Any = SimpleNamespace(n=100, d=1000, data=10**6, units=50, multiplications=2000)

    def work(**settings: Any) -> Work:
        found = DistilledConfig.model_validate({"kind": "distilled", "probes": 200} | settings)
        asked = found.make_work(sizes, 10)
        assert asked is not None
        return asked

    short, long = (work(training={"steps": steps, "batch_size": 32}) for steps in (10, 110))
    # Forward and backward, six operations a multiplication, an example and a network.
    assert long.operations - short.operations == 6 * 10 * 100 * 32 * 2000
    assert (short.steps, long.steps) == (10, 110)
    labels = work(targets="labels", training={"steps": 10, "batch_size": 32})
    assert short.operations - labels.operations == 2 * 100 * 200 * 2000
    assert labels.held < short.held == long.held
