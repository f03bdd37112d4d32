"""The training loop that flows, diffusion models and autoencoders share."""

import copy
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn

from dwf_steps.config.generators.flow_training import FlowTraining
from dwf_steps.runtime.errors import NumericalError
from dwf_steps.runtime.progress import Progress
from dwf_steps.runtime.randomness import derive_seed, torch_generator
from dwf_steps.storage.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

REPORTS = 50  # rows of the table of losses, approximately

Drawn = TypeVar("Drawn")


class Objective(Protocol):
    """A network's loss on a batch."""

    def loss(self, batch: Any) -> Tensor:
        """Return the loss."""

    def backward(self, batch: Any) -> Tensor:
        """Set the network's gradients to those of the loss, and return the loss, detached."""


@dataclass(frozen=True)
class Paths(ABC, Generic[Drawn]):
    """Training data of a network: draws from latents, and the loss on them.

    Attributes
    ----------
    targets
        The latents, (n, k).
    left_out
        Which of them are held out for validation, (n,) bool. The fit keeps the averaged weights with the
        lowest validation loss. None to validate on all and keep the last ones.
    """

    targets: Tensor
    left_out: Tensor | None

    @property
    def dimension(self) -> int:
        """Number of latents, k."""
        return self.targets.shape[1]

    @cached_property
    def fitted(self) -> Tensor:
        """Indices of the targets that are fitted."""
        every = torch.arange(len(self.targets))
        return every if self.left_out is None else every[~self.left_out]

    @cached_property
    def validated(self) -> Tensor:
        """Indices of the targets that the validation loss is measured on: those held out, or all."""
        every = torch.arange(len(self.targets))
        return every if self.left_out is None else every[self.left_out]

    @abstractmethod
    def draw(self, size: int, generator: torch.Generator, validating: bool = False) -> Drawn:
        """Draw a batch from the fitted targets, or from the validation targets."""

    @abstractmethod
    def field(self, network: nn.Module) -> Objective:
        """Return the loss of a network."""


@dataclass(frozen=True)
class TrainedFlow:
    """A fitted network, and its losses.

    Attributes
    ----------
    velocity
        The network with averaged weights, in evaluation mode.
    losses
        A row per report: ``step``, ``train``, ``validation``, ``lr`` and, if targets are held out, ``kept``:
        whether the weights of this step are returned.
    """

    velocity: nn.Module
    losses: pd.DataFrame


def fit_network(
    build: Callable[[], nn.Module],
    paths: Paths[Any],
    training: FlowTraining,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> TrainedFlow:
    """Fit a network with AdamW, a cosine schedule, and an exponential moving average of the weights.

    Parameters
    ----------
    build
        Builds the network; its initial weights come from PyTorch's global generator, which is seeded.
    paths
        The training data and the loss.
    training
        Steps, batch size, learning rates and seed.
    device
        Where the network is trained.
    checkpoint
        Where the state is saved at intervals, and resumed from.

    Returns
    -------
    The averaged network and its losses.

    Raises
    ------
    NumericalError
        If the loss is not finite.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed("velocity network", training.seed))
        return _Run.start(build().to(device), paths, training, device).finish(checkpoint)


@dataclass
class _Run:
    """The state of one training run.

    Initial weights and dropout are drawn from PyTorch's global generators, which the caller seeds; batches
    are drawn from ``draws``. If targets are held out, ``best`` are the averaged weights with the lowest
    validation loss so far.
    """

    paths: Paths[Any]
    training: FlowTraining
    device: torch.device
    velocity: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    draws: torch.Generator
    validation: Any
    step: int
    running_loss: Tensor
    rows: list[dict[str, float]]
    best: dict[str, Tensor]

    @classmethod
    def start(
        cls, velocity: nn.Module, paths: Paths[Any], training: FlowTraining, device: torch.device
    ) -> "_Run":
        optimizer = torch.optim.AdamW(
            velocity.parameters(),
            lr=training.lr,
            betas=training.betas,
            weight_decay=training.weight_decay,
            fused=True,
        )
        return cls(
            paths=paths,
            training=training,
            device=device,
            velocity=velocity,
            average=copy.deepcopy(velocity).eval(),
            optimizer=optimizer,
            schedule=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.steps, training.lr_min),
            draws=torch_generator("flow batches", training.seed),
            validation=paths.draw(
                training.validation_draws(paths.dimension),
                torch_generator("flow validation", training.seed),
                validating=True,
            ),
            step=0,
            running_loss=torch.zeros((), device=device),
            rows=[],
            best={},
        )

    @property
    def kept(self) -> int:
        """Return the row of the table of losses whose averaged weights are kept."""
        if self.paths.left_out is None:
            return len(self.rows) - 1
        return min(range(len(self.rows)), key=lambda row: self.rows[row]["validation"])

    @property
    def exhausted(self) -> bool:
        """Whether the validation loss has not improved for ``training.patience`` reports."""
        patience = self.training.patience
        return patience is not None and bool(self.rows) and len(self.rows) - 1 - self.kept >= patience

    def finish(self, checkpoint: Checkpoint | None) -> TrainedFlow:
        steps, batch_size = self.training.steps, self.training.batch_size
        report_every = max(1, steps // REPORTS)
        if checkpoint and (state := checkpoint.load()):
            self.load_state(state)
            logger.info("resumed after step %d", self.step)
        with Progress("step", steps, self.step) as report:
            while self.step < steps and not self.exhausted:
                self.advance(self.paths.draw(batch_size, self.draws))
                if self.step % report_every == 0 or self.step == steps:
                    self.report()
                    report.facts["loss"] = self.rows[-1]["validation"]
                report.advance()
                if checkpoint:
                    checkpoint.save_if_due(self.state)
        losses = pd.DataFrame(self.rows)
        if self.paths.left_out is not None:
            losses["kept"] = losses.index == self.kept
            self.average.load_state_dict(self.best)
            logger.info("kept the average of step %d, after %d steps", losses.step[self.kept], self.step)
        return TrainedFlow(self.average, losses)

    def advance(self, batch: Any) -> None:
        """Take one optimisation step and update the average."""
        loss = self.paths.field(self.velocity).backward(batch)
        if self.training.clip:
            nn.utils.clip_grad_norm_(self.velocity.parameters(), self.training.clip)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        self.running_loss += loss
        # The decay grows to its final value, or early averages would be dominated by the initial weights.
        decay = min(self.training.ema, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.velocity.parameters()), 1 - decay)

    @torch.no_grad()
    def report(self) -> None:
        """Add a row to the table of losses, with the mean training loss since the last row."""
        since = self.step - (int(self.rows[-1]["step"]) if self.rows else 0)
        train = (self.running_loss / since).item()
        validation = self.paths.field(self.average).loss(self.validation).item()
        if not (math.isfinite(train) and math.isfinite(validation)):
            raise NumericalError(
                f"the loss is {train} (validation {validation}) at step {self.step}; lower training.lr"
            )
        rate = float(self.schedule.get_last_lr()[0])
        self.rows.append({"step": self.step, "train": train, "validation": validation, "lr": rate})
        self.running_loss.zero_()
        if self.paths.left_out is not None and self.kept == len(self.rows) - 1:
            self.best = {name: value.clone() for name, value in self.average.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Return everything that the rest of the run depends on."""
        cuda = self.device.type == "cuda"
        return {
            "step": self.step,
            "velocity": self.velocity.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "draws": self.draws.get_state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
            "running_loss": self.running_loss,
            "rows": self.rows,
            "best": self.best,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.step, self.rows, self.best = state["step"], state["rows"], state["best"]
        self.velocity.load_state_dict(state["velocity"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.draws.set_state(state["draws"])
        torch.set_rng_state(state["random"])
        # A run that moves from a CPU to a GPU has no such state: dropout is then drawn from the seed.
        if state["random_cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
        self.running_loss.copy_(state["running_loss"])
