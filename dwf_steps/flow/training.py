"""Fitting the velocity field by conditional flow matching."""

import copy
import logging
import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.flow.coupling import couple
from dwf_steps.flow.fields import Batch, VelocityField, build_velocity
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.path import draw_times, probability_path
from dwf_steps.flow.source import Source
from dwf_steps.runtime.progress import Progress
from dwf_steps.runtime.randomness import derive_seed, torch_generator
from dwf_steps.storage.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

REPORTS = 50  # rows of the loss table


@dataclass(frozen=True)
class TrainedFlow:
    """The averaged velocity field, and the losses along the way (step, train, validation, lr)."""

    velocity: nn.Module
    losses: pd.DataFrame


def draw_batch(
    targets: Tensor, size: int, config: FlowConfig, generator: torch.Generator, source: Source
) -> Batch:
    """Draw ``size`` points of the paths from fresh draws of the source, or from every latent's own start, to
    latents (n, k) of unit variance, on the source's manifold."""
    k, manifold = targets.shape[1], source.manifold
    chosen = torch.randint(len(targets), (size,), generator=generator)
    x0 = source.draw(size, k, generator, device=targets.device, partners=chosen)
    noise = torch.randn(size, k, generator=generator).to(targets.device)
    t = draw_times(size, config.time, generator).to(targets.device)
    x1 = couple(x0, targets[chosen.to(targets.device)], config.coupling, manifold)
    return Batch(t, *probability_path(manifold, x0, x1, t, noise, config.sigma), x1)


def fit_velocity(
    latents: Tensor,
    config: FlowConfig,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    network: NetworkSpec | None = None,
    source: Source | None = None,
) -> TrainedFlow:
    """Fit a velocity field to latents (n, k) of unit variance.

    The loss is the mean over batch and coordinates of |v(t, x_t) - u_t|^2 (Lipman et al. 2023), or of the
    squared error of predicted endpoints. The validation loss is that of the averaged network on draws of
    (t, x0, x1) that training never uses.

    Parameters
    ----------
    network
        What latents are, where the velocity network must know.
    source
        Where paths start, on the manifold whose geodesics they are; by default standard normal, times
        ``config.source_std``, in flat space.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    start = Source(std=config.source_std) if source is None else source
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed("velocity network", config.training.seed))
        return _Run.start(latents.to(device), config, network, start).finish(checkpoint)


@dataclass
class _Run:
    """The state of one training run. Initial weights and dropout draw from PyTorch's own generators, seeded
    by the caller; batches and validation draws from ``draws``."""

    targets: Tensor
    config: FlowConfig
    source: Source
    velocity: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    draws: torch.Generator
    validation: Batch
    step: int
    running_loss: Tensor
    rows: list[dict[str, float]]

    @classmethod
    def start(
        cls, targets: Tensor, config: FlowConfig, network: NetworkSpec | None, source: Source
    ) -> "_Run":
        training = config.training
        velocity = build_velocity(targets.shape[1], config.velocity, network).to(targets.device)
        optimizer = torch.optim.AdamW(
            velocity.parameters(),
            lr=training.lr,
            betas=training.betas,
            weight_decay=training.weight_decay,
            fused=True,
        )
        return cls(
            targets=targets,
            config=config,
            source=source,
            velocity=velocity,
            average=copy.deepcopy(velocity).eval(),
            optimizer=optimizer,
            schedule=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.steps, training.lr_min),
            draws=torch_generator("flow batches", training.seed),
            validation=draw_batch(
                targets,
                training.validation_draws(targets.shape[1]),
                config,
                torch_generator("flow validation", training.seed),
                source,
            ),
            step=0,
            running_loss=torch.zeros((), device=targets.device),
            rows=[],
        )

    def finish(self, checkpoint: Checkpoint | None) -> TrainedFlow:
        steps, batch_size = self.config.training.steps, self.config.training.batch_size
        report_every = max(1, steps // REPORTS)
        if checkpoint and (state := checkpoint.load()):
            self.load_state(state)
            logger.info("resumed after step %d", self.step)
        with Progress("step", steps, self.step) as report:
            while self.step < steps:
                batch = draw_batch(self.targets, batch_size, self.config, self.draws, self.source)
                self.advance(batch)
                if self.step % report_every == 0 or self.step == steps:
                    self.report()
                    report.facts["loss"] = self.rows[-1]["validation"]
                report.advance()
                if checkpoint:
                    checkpoint.save_if_due(self.state)
        return TrainedFlow(self.average, pd.DataFrame(self.rows))

    def advance(self, batch: Batch) -> None:
        """Take one optimisation step and move the average after it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.field(self.velocity).backward(batch)
        if self.config.training.clip:
            nn.utils.clip_grad_norm_(self.velocity.parameters(), self.config.training.clip)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        self.running_loss += loss
        # Early averages would remember the initial weights; the decay grows to its final value.
        decay = min(self.config.training.ema, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.velocity.parameters()), 1 - decay)

    def field(self, network: nn.Module) -> VelocityField:
        return VelocityField(network, self.config.prediction, self.source.manifold)

    @torch.no_grad()
    def report(self) -> None:
        """Add a row to the loss table: the mean training loss since the last row, the validation loss now."""
        since = self.step - (int(self.rows[-1]["step"]) if self.rows else 0)
        train = (self.running_loss / since).item()
        validation = self.field(self.average).loss(self.validation).item()
        if not (math.isfinite(train) and math.isfinite(validation)):
            raise FloatingPointError(
                f"the flow's loss is {train} (validation {validation}) at step {self.step}; lower training.lr"
            )
        rate = float(self.schedule.get_last_lr()[0])
        self.rows.append({"step": self.step, "train": train, "validation": validation, "lr": rate})
        self.running_loss.zero_()

    def state(self) -> dict[str, Any]:
        """Return everything that decides the rest of the run."""
        cuda = self.targets.device.type == "cuda"
        return {
            "step": self.step,
            "velocity": self.velocity.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "draws": self.draws.get_state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.targets.device) if cuda else None,
            "running_loss": self.running_loss,
            "rows": self.rows,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.step, self.rows = state["step"], state["rows"]
        self.velocity.load_state_dict(state["velocity"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.draws.set_state(state["draws"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.targets.device)
        self.running_loss.copy_(state["running_loss"])
