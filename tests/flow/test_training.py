"""Flow training learns, repeats itself, and resumes bit for bit."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from interrupting import Interrupted, InterruptedCheckpoint
from torch import Tensor

from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.flow_training import FlowTraining
from dwf_steps.flow.fitting import TrainedFlow
from dwf_steps.flow.source import PairedSource, Source
from dwf_steps.flow.training import draw_batch, fit_velocity
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.checkpoint import Checkpoint

CPU = torch.device("cpu")
STEPS = 40  # fewer than the loss table's rows, so every step is reported and saved
TINY_WIDTH = 16
TINY = {"width": TINY_WIDTH, "time_embedding": 8, "dropout": 0.2}


def flow(steps: int = STEPS, seed: int = 0, **more: Any) -> FlowConfig:
    training = {"steps": steps, "batch_size": 8, "lr": 2e-3, "seed": seed, **more.pop("training", {})}
    return FlowConfig.model_validate({"kind": "flow", "velocity": TINY, "training": training} | more)


def points(n: int = 12, k: int = 3) -> Tensor:
    return torch.randn(n, k, generator=torch.Generator().manual_seed(7))


def assert_same_flow(first: TrainedFlow, second: TrainedFlow) -> None:
    weights = second.velocity.state_dict()
    for name, value in first.velocity.state_dict().items():
        assert torch.equal(value, weights[name]), name
    pd.testing.assert_frame_equal(first.losses, second.losses, check_exact=True)


@pytest.mark.parametrize("coupling", ["independent", "ot"])
def test_training_lowers_the_validation_loss(coupling: str) -> None:
    # Around one far point the velocity is nearly a function of the point: the loss can nearly vanish.
    target = torch.tensor([[4.0, -3.0]]) + 0.1 * points(20, 2)
    config = FlowConfig.model_validate(
        {
            "kind": "flow",
            "source_std": 0.5,
            "coupling": coupling,
            "velocity": {**TINY, "width": 32, "dropout": 0.0},
            "training": {"steps": 400, "batch_size": 32, "lr": 5e-3, "ema": 0.9},
        }
    )
    losses = fit_velocity(target, config, CPU).losses
    assert losses["validation"].iloc[0] > 5
    assert losses["validation"].iloc[-1] < 0.1 * losses["validation"].iloc[0]
    assert losses["train"].iloc[-1] < 0.1 * losses["train"].iloc[0]


def test_the_loss_table_has_fifty_rows_and_the_cosine_schedule() -> None:
    losses = fit_velocity(points(), flow(steps=100, training={"lr_min": 1e-5}), CPU).losses
    assert list(losses.columns) == ["step", "train", "validation", "lr"]
    assert losses["step"].tolist() == list(range(2, 101, 2))
    half = 1e-5 + (2e-3 - 1e-5) / 2
    assert losses.set_index("step")["lr"][50] == pytest.approx(half, rel=1e-6)
    assert losses["lr"].iloc[-1] == pytest.approx(1e-5, rel=1e-6)


@pytest.mark.parametrize("steps", [1, 7, 101])
def test_the_last_step_is_always_reported(steps: int) -> None:
    assert fit_velocity(points(), flow(steps=steps), CPU).losses["step"].iloc[-1] == steps


def test_the_first_validation_loss_is_that_of_a_network_that_outputs_zero() -> None:
    # A tiny learning rate leaves the velocity at zero, so the loss is E|x1 - x0|^2 = mean x1^2 + std^2.
    target = points(30, 4)
    config = flow(steps=1, source_std=0.5, training={"lr": 1e-12, "lr_min": 0.0})
    losses = fit_velocity(target, config, CPU).losses
    expected = target.square().mean().item() + 0.25
    assert losses["validation"].iloc[0] == pytest.approx(expected, rel=0.05)


def test_the_flow_is_returned_in_evaluation_mode() -> None:
    assert not fit_velocity(points(), flow(steps=3), CPU).velocity.training


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    first, again, other = (fit_velocity(points(), flow(seed=seed), CPU) for seed in (1, 1, 2))
    assert_same_flow(first, again)
    assert not torch.equal(first.velocity.output.weight, other.velocity.output.weight)


def test_training_does_not_touch_or_read_the_global_generator() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = fit_velocity(points(), flow(), CPU)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert_same_flow(first, fit_velocity(points(), flow(), CPU))


def test_without_averaging_the_last_weights_are_kept() -> None:
    kept, averaged = (fit_velocity(points(), flow(training={"ema": ema}), CPU) for ema in (0.0, 0.999))
    # The same steps were taken: only what is kept differs.
    assert kept.losses["train"].tolist() == averaged.losses["train"].tolist()
    assert not torch.equal(kept.velocity.output.weight, averaged.velocity.output.weight)
    assert kept.velocity.output.weight.norm() > averaged.velocity.output.weight.norm()


def test_the_average_follows_its_growing_decay() -> None:
    # A constant rate, so that shorter runs are the beginnings of longer ones. The output layer starts at 0.
    constant = {"lr": 1e-2, "lr_min": 1e-2}
    average = torch.zeros(3, TINY_WIDTH)
    for step in range(1, 7):
        last = fit_velocity(points(), flow(steps=step, training={**constant, "ema": 0.0}), CPU).velocity
        decay = min(0.35, step / (step + 10))
        average = decay * average + (1 - decay) * last.output.weight.detach()
    found = fit_velocity(points(), flow(steps=6, training={**constant, "ema": 0.35}), CPU).velocity
    torch.testing.assert_close(found.output.weight.detach(), average, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("saves", [1, 20, 39])
@pytest.mark.parametrize("coupling", ["independent", "ot"])
def test_an_interrupted_run_resumes_bit_for_bit(tmp_path: Path, saves: int, coupling: str) -> None:
    config = flow(coupling=coupling, time={"distribution": "beta"})
    whole = fit_velocity(points(), config, CPU)
    path = tmp_path / "model.checkpoint"
    with pytest.raises(Interrupted):
        fit_velocity(points(), config, CPU, InterruptedCheckpoint(path, "run", saves))
    state = Checkpoint(path, "run").load()
    assert state is not None
    assert state["step"] == saves
    torch.rand(3)
    assert_same_flow(fit_velocity(points(), config, CPU, Checkpoint(path, "run", every=0)), whole)


def test_a_run_that_a_gpu_began_is_resumed_without_one(tmp_path: Path) -> None:
    """What is drawn does not depend on the device; its own generator's state is of no use here."""
    path = tmp_path / "model.checkpoint"
    with pytest.raises(Interrupted):
        fit_velocity(points(), flow(), CPU, InterruptedCheckpoint(path, "run", 10))
    state = Checkpoint(path, "run").load()
    assert state is not None and state["random_cuda"] is None
    state["random_cuda"] = torch.zeros(16, dtype=torch.uint8)  # as long as CUDA's
    Checkpoint(path, "run", every=0).save_if_due(lambda: state)
    resumed = fit_velocity(points(), flow(), CPU, Checkpoint(path, "run"))
    assert_same_flow(resumed, fit_velocity(points(), flow(), CPU))


def test_a_run_interrupted_twice_resumes_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "model.checkpoint"
    for saves in (10, 15):
        with pytest.raises(Interrupted):
            fit_velocity(points(), flow(), CPU, InterruptedCheckpoint(path, "run", saves))
    state = Checkpoint(path, "run").load()
    assert state is not None
    assert state["step"] == 25
    resumed = fit_velocity(points(), flow(), CPU, Checkpoint(path, "run"))
    assert_same_flow(resumed, fit_velocity(points(), flow(), CPU))


def test_a_run_interrupted_after_its_last_step_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "model.checkpoint"
    with pytest.raises(Interrupted):
        fit_velocity(points(), flow(), CPU, InterruptedCheckpoint(path, "run", STEPS))
    assert_same_flow(
        fit_velocity(points(), flow(), CPU, Checkpoint(path, "run")), fit_velocity(points(), flow(), CPU)
    )


def test_progress_tells_the_loss_and_counts_only_what_is_left(
    tmp_path: Path, progress_lines: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Interrupted):
        fit_velocity(points(), flow(), CPU, InterruptedCheckpoint(tmp_path / "c", "run", 30))
    progress_lines.clear()
    trained = fit_velocity(points(), flow(), CPU, Checkpoint(tmp_path / "c", "run"))
    lines = [message for message in progress_lines.messages if message.startswith("step ")]
    assert len(lines) == STEPS - 30
    assert lines[-1].startswith(f"step 40/40, loss {trained.losses.validation.iloc[-1]:.4g}, ")


def test_another_runs_checkpoint_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "model.checkpoint"
    with pytest.raises(Interrupted):
        fit_velocity(points(), flow(seed=1), CPU, InterruptedCheckpoint(path, "seed 1", 20))
    found = fit_velocity(points(), flow(seed=2), CPU, Checkpoint(path, "seed 2", every=1e9))
    assert_same_flow(found, fit_velocity(points(), flow(seed=2), CPU))


def test_a_truncated_checkpoint_starts_from_the_beginning_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "model.checkpoint"
    with pytest.raises(Interrupted):
        fit_velocity(points(), flow(), CPU, InterruptedCheckpoint(path, "run", 20))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        found = fit_velocity(points(), flow(), CPU, Checkpoint(path, "run", every=1e9))
    assert f"{path} is damaged" in caplog.text
    assert_same_flow(found, fit_velocity(points(), flow(), CPU))


def test_checkpoints_do_not_change_the_result(tmp_path: Path) -> None:
    with_checkpoints = fit_velocity(points(), flow(), CPU, Checkpoint(tmp_path / "c", "run", every=0))
    assert (tmp_path / "c").is_file()
    assert_same_flow(with_checkpoints, fit_velocity(points(), flow(), CPU))


OVERFIT = {"steps": 400, "batch_size": 16, "lr": 5e-3, "lr_min": 5e-3, "ema": 0.5}


def overfitting(**training: Any) -> tuple[Tensor, FlowConfig, Tensor]:
    """Return latents, a flow without dropout that learns four of them by heart, and which are left out."""
    velocity = {"width": 128, "time_embedding": 8, "dropout": 0.0}
    config = flow(velocity=velocity, training=OVERFIT | {"validation_networks": 0.5, **training})
    return points(8, 4), config, torch.arange(8) % 2 == 1


def test_the_average_with_the_lowest_loss_on_networks_left_out_is_kept() -> None:
    latents, config, left_out = overfitting()
    trained = fit_velocity(latents, config, CPU, left_out=left_out)
    losses = trained.losses
    kept = losses.validation.idxmin()
    assert losses.validation.iloc[-1] > 1.5 * losses.validation[kept], "it should overfit"
    assert losses.train.iloc[-1] < 0.9 * losses.train[kept]
    assert losses.kept.tolist() == [row == kept for row in range(50)]
    draws = torch_generator("flow validation", config.training.seed)
    unseen = draw_batch(latents[left_out], 1024, config, draws, Source())
    with torch.no_grad():
        found = (trained.velocity(unseen.t, unseen.x) - unseen.u).square().mean().item()
    assert found == pytest.approx(losses.validation[kept], rel=1e-5)


def test_it_stops_after_so_many_reports_without_a_lower_loss() -> None:
    latents, config, left_out = overfitting()
    whole = fit_velocity(latents, config, CPU, left_out=left_out)
    latents, patient, left_out = overfitting(patience=4)
    stopped = fit_velocity(latents, patient, CPU, left_out=left_out)
    validation = whole.losses.validation.tolist()
    best = [min(range(row + 1), key=lambda k: validation[k]) for row in range(50)]
    last = next(row for row in range(50) if row - best[row] == 4)
    assert last < 49
    columns = ["step", "train", "validation", "lr"]
    pd.testing.assert_frame_equal(
        stopped.losses[columns], whole.losses[columns][: last + 1], check_exact=True
    )
    assert stopped.losses.kept.idxmax() == best[last]


def test_what_is_left_out_plays_no_part_in_the_steps() -> None:
    latents, config, left_out = overfitting()
    moved = latents + left_out.unsqueeze(1)
    one, other = (fit_velocity(rows, config, CPU, left_out=left_out).losses for rows in (latents, moved))
    assert one.train.tolist() == other.train.tolist()
    assert one.validation.tolist() != other.validation.tolist()
    alone = fit_velocity(latents[~left_out], config, CPU).losses
    assert one.train.tolist() == alone.train.tolist() and "kept" not in alone


@pytest.mark.parametrize("saves", [1, 20, 47])
def test_a_conditional_run_that_selects_resumes_bit_for_bit(tmp_path: Path, saves: int) -> None:
    config = flow(
        condition={"variable": "loss", "dropout": 0.3},
        training={"lr": 0.05, "lr_min": 0.05, "ema": 0.0, "validation_networks": 0.5, "patience": 7},
    )
    more = {"condition": points(12, 1), "left_out": torch.arange(12) % 2 == 0}
    whole = fit_velocity(points(), config, CPU, **more)
    path, steps = tmp_path / "model.checkpoint", len(whole.losses)
    assert steps < STEPS, "it should stop early"
    saves = min(saves, steps)  # the last one when it has stopped already
    with pytest.raises(Interrupted):
        fit_velocity(points(), config, CPU, InterruptedCheckpoint(path, "run", saves), **more)
    torch.rand(3)
    assert_same_flow(fit_velocity(points(), config, CPU, Checkpoint(path, "run", every=0), **more), whole)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_diverging_loss_stops_with_the_step_and_the_remedy() -> None:
    target = torch.full((4, 2), 1e30)
    with pytest.raises(FloatingPointError, match=r"at step 1; lower training.lr"):
        fit_velocity(target, flow(steps=3), CPU)


def test_a_batch_holds_points_of_the_path_and_their_velocities() -> None:
    config = flow(sigma=0.0)
    batch = draw_batch(points(), 4000, config, torch.Generator().manual_seed(0), Source(std=0.5))
    assert batch.t.shape == (4000, 1)
    assert batch.x.shape == batch.u.shape == (4000, 3)
    x0, x1 = batch.x - batch.t * batch.u, batch.x + (1 - batch.t) * batch.u
    assert x0.mean().item() == pytest.approx(0, abs=0.02)
    assert x0.std().item() == pytest.approx(0.5, rel=0.02)
    distances, nearest = torch.cdist(x1, points()).min(dim=1)
    assert distances.max() < 1e-2
    assert set(nearest.tolist()) == set(range(12))


def test_sigma_is_the_standard_deviation_around_the_path() -> None:
    batches = [
        draw_batch(points(), 4000, flow(sigma=sigma), torch.Generator().manual_seed(0), Source())
        for sigma in (0.0, 0.3)
    ]
    assert torch.equal(batches[0].u, batches[1].u)
    assert (batches[1].x - batches[0].x).std().item() == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize(
    ("dimension", "draws"), [(99, 1024), (2**16, 1024), (2**20, 64), (2**30, 8)], ids=str
)
def test_the_validation_loss_is_measured_on_what_fits_into_memory(dimension: int, draws: int) -> None:
    assert FlowTraining(batch_size=8).validation_draws(dimension) == draws


def test_paths_of_a_paired_source_lead_from_each_latents_own_start_to_it() -> None:
    targets, starts = points(12), points(24)[12:] - 5
    source = PairedSource(mean=starts.mean(dim=0), starts=starts)
    batch = draw_batch(targets, 500, flow(sigma=0.0), torch.Generator().manual_seed(0), source)
    x0, x1 = batch.x - batch.t * batch.u, batch.x + (1 - batch.t) * batch.u
    (far, first), (far_too, last) = (
        torch.cdist(ends, known).min(dim=1) for ends, known in ((x0, starts), (x1, targets))
    )
    assert max(far.max(), far_too.max()) < 1e-2
    assert torch.equal(first, last)
    assert len(first.unique()) == 12


def test_pairs_that_all_differ_by_the_same_are_learned_at_once() -> None:
    """The velocity is that difference, wherever and whenever; unpaired, the same starts leave much over."""
    targets, shift = points(200, 2), torch.tensor([3.0, -1.0])
    config = flow(steps=300, sigma=0.0, training={"lr": 5e-3, "ema": 0.9, "batch_size": 32})
    losses = {
        paired: fit_velocity(
            targets,
            config,
            CPU,
            source=PairedSource(mean=-shift, starts=(targets - shift).roll(1 - paired, 0)),
        )
        .losses["validation"]
        .iloc[-1]
        for paired in (True, False)
    }
    assert losses[True] < 0.05 < 0.3 < losses[False]
