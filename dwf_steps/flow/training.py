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
from dwf_steps.flow.condition import told
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
    """The averaged velocity field, and the losses along the way: step, train, validation, lr and, where
    networks are left out, whether the average of that step was ``kept``."""

    velocity: nn.Module
    losses: pd.DataFrame


def draw_batch(
    targets: Tensor,
    size: int,
    config: FlowConfig,
    generator: torch.Generator,
    source: Source,
    rows: Tensor | None = None,
    condition: Tensor | None = None,
) -> Batch:
    """Draw ``size`` points of the paths from fresh draws of the source, or from every latent's own start, to
    latents (n, k) of unit variance, on the source's manifold.

    Parameters
    ----------
    rows
        Which of the latents are drawn, (m,); by default all.
    condition
        What is told of each latent, standardised, (n, 1): left out, and NaN, as often as
        ``config.condition`` says.
    """
    k, manifold = targets.shape[1], source.manifold
    rows = torch.arange(len(targets)) if rows is None else rows
    chosen = rows[torch.randint(len(rows), (size,), generator=generator)]
    x0 = source.draw(size, k, generator, device=targets.device, partners=chosen)
    noise = torch.randn(size, k, generator=generator).to(targets.device)
    t = draw_times(size, config.time, generator).to(targets.device)
    chosen = chosen.to(targets.device)
    chosen = chosen[couple(x0, targets[chosen], config.coupling, manifold)]
    x1 = targets[chosen]
    points = probability_path(manifold, x0, x1, t, noise, config.sigma)
    if condition is not None and config.condition is not None:
        t = torch.cat([t, told(condition[chosen], config.condition, generator)], dim=1)
    return Batch(t, *points, x1)


def fit_velocity(
    latents: Tensor,
    config: FlowConfig,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    network: NetworkSpec | None = None,
    source: Source | None = None,
    condition: Tensor | None = None,
    left_out: Tensor | None = None,
) -> TrainedFlow:
    """Fit a velocity field to latents (n, k) of unit variance.

    The loss is the mean over batch and coordinates of |v(t, x_t) - u_t|^2 (Lipman et al. 2023), or of the
    squared error of predicted endpoints. The validation loss is that of the averaged network on draws of
    (t, x0, x1) that training never uses. Where latents are left out it is measured on these, the average with
    the lowest one is kept, and the fit stops after ``config.training.patience`` reports without a lower one.

    Parameters
    ----------
    network
        What latents are, where the velocity network must know.
    source
        Where paths start, on the manifold whose geodesics they are; by default standard normal, times
        ``config.source_std``, in flat space.
    condition
        What is told of each latent, standardised, (n, 1).
    left_out
        Which latents the fit never sees, (n,) bool.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    start = Source(std=config.source_std) if source is None else source
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed("velocity network", config.training.seed))
        run = _Run.start(latents.to(device), config, network, start, condition, left_out)
        return run.finish(checkpoint)


@dataclass
class _Run:
    """The state of one training run. Initial weights and dropout draw from PyTorch's own generators, seeded
    by the caller; batches and validation draws from ``draws``. Of the targets ``fitted`` rows are drawn;
    where others are left out, ``best`` are the averaged weights with the lowest validation loss so far."""

    targets: Tensor
    condition: Tensor | None
    fitted: Tensor
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
    best: dict[str, Tensor]

    @classmethod
    def start(
        cls,
        targets: Tensor,
        config: FlowConfig,
        network: NetworkSpec | None,
        source: Source,
        condition: Tensor | None,
        left_out: Tensor | None,
    ) -> "_Run":
        training, every = config.training, torch.arange(len(targets))
        fitted, validated = (every, every) if left_out is None else (every[~left_out], every[left_out])
        condition = None if condition is None else condition.to(targets.device)
        conditional = condition is not None
        velocity = build_velocity(targets.shape[1], config.velocity, network, conditional).to(targets.device)
        optimizer = torch.optim.AdamW(
            velocity.parameters(),
            lr=training.lr,
            betas=training.betas,
            weight_decay=training.weight_decay,
            fused=True,
        )
        return cls(
            targets=targets,
            condition=condition,
            fitted=fitted,
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
                validated,
                condition,
            ),
            step=0,
            running_loss=torch.zeros((), device=targets.device),
            rows=[],
            best={},
        )

    @property
    def selecting(self) -> bool:
        """Whether targets are left out, by whose loss the weights are chosen."""
        return len(self.fitted) < len(self.targets)

    @property
    def kept(self) -> int:
        """Return the row of the loss table whose averaged weights are kept."""
        if not self.selecting:
            return len(self.rows) - 1
        return min(range(len(self.rows)), key=lambda row: self.rows[row]["validation"])

    @property
    def exhausted(self) -> bool:
        """Whether the validation loss has not been lower for as many reports as there is patience for."""
        patience = self.config.training.patience
        return patience is not None and bool(self.rows) and len(self.rows) - 1 - self.kept >= patience

    def finish(self, checkpoint: Checkpoint | None) -> TrainedFlow:
        steps, batch_size = self.config.training.steps, self.config.training.batch_size
        report_every = max(1, steps // REPORTS)
        if checkpoint and (state := checkpoint.load()):
            self.load_state(state)
            logger.info("resumed after step %d", self.step)
        with Progress("step", steps, self.step) as report:
            while self.step < steps and not self.exhausted:
                batch = draw_batch(
                    *(self.targets, batch_size, self.config, self.draws, self.source),
                    rows=self.fitted,
                    condition=self.condition,
                )
                self.advance(batch)
                if self.step % report_every == 0 or self.step == steps:
                    self.report()
                    report.facts["loss"] = self.rows[-1]["validation"]
                report.advance()
                if checkpoint:
                    checkpoint.save_if_due(self.state)
        losses = pd.DataFrame(self.rows)
        if self.selecting:
            losses["kept"] = losses.index == self.kept
            self.average.load_state_dict(self.best)
            logger.info("kept the average of step %d, after %d steps", losses.step[self.kept], self.step)
        return TrainedFlow(self.average, losses)

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
        if self.selecting and self.kept == len(self.rows) - 1:
            self.best = {name: value.clone() for name, value in self.average.state_dict().items()}

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
            "best": self.best,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.step, self.rows, self.best = state["step"], state["rows"], state["best"]
        self.velocity.load_state_dict(state["velocity"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.draws.set_state(state["draws"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.targets.device)
        self.running_loss.copy_(state["running_loss"])
