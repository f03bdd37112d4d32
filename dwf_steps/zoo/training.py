"""Training all networks of a shard at once, as batched matrix products."""

import logging
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.zoo import NetworkPlan, TrainingConfig
from dwf_steps.datasets.splits import Dataset
from dwf_steps.metrics.scores import score_split
from dwf_steps.runtime.errors import InputError, NumericalError
from dwf_steps.runtime.progress import Progress
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.checkpoint import Checkpoint
from dwf_steps.storage.magnitude import LARGEST_WEIGHT
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.tasks import task_of
from dwf_steps.zoo.augmentation import augment
from dwf_steps.zoo.optimization import learning_rate, make_optimizer, take_step

logger = logging.getLogger(__name__)

SHARED_BATCHES = 0
"""Seed of the batches that all networks see, independent of their shard."""


@dataclass(frozen=True)
class TrainedNetworks:
    """n trained networks.

    Attributes
    ----------
    networks
        The networks.
    epochs
        Number of epochs that each was trained for until its weights were kept, (n,).
    checkpoints
        The networks after each of c requested steps, (n, c, *shape); empty if none was requested.
    """

    networks: StackedNetworks[Tensor]
    epochs: np.ndarray
    checkpoints: StackedNetworks[Tensor]


def initial_networks(architecture: Architecture, plans: list[NetworkPlan]) -> StackedNetworks[Tensor]:
    """Initialise networks, each from its own seed.

    Parameters
    ----------
    architecture
        The networks' architecture.
    plans
        Seed and initialisation of each network.

    Returns
    -------
    The untrained networks.
    """
    networks = [
        architecture.initial_state(plan.initialisation, torch_generator("initial weights", plan.seed))
        for plan in plans
    ]
    return StackedNetworks.stack(networks, torch.stack)


def shuffled_orders(n_examples: int, seeds: Sequence[int], epoch: int) -> Tensor:
    """Draw the order in which each network sees the examples of one epoch.

    It is stateless and depends only on seed and epoch, so a resumed run continues with the same batches.

    Parameters
    ----------
    n_examples
        Number of examples.
    seeds
        The n networks' seeds.
    epoch
        Number of the epoch.

    Returns
    -------
    A permutation of the examples for each network, (n, n_examples).
    """
    return torch.stack(
        [torch.randperm(n_examples, generator=torch_generator("batches", seed, epoch)) for seed in seeds]
    )


def train_networks(
    architecture: Architecture,
    dataset: Dataset,
    plans: list[NetworkPlan],
    training: TrainingConfig,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    steps: int | None = None,
    keep: Sequence[int] = (),
    watch: Callable[[int, StackedNetworks[Tensor]], None] | None = None,
    start: StackedNetworks[Tensor] | None = None,
    frozen: Collection[str] = (),
    answers: np.ndarray | None = None,
) -> TrainedNetworks:
    """Train n networks at once on their task's loss, each from its own seed.

    Shared batches are those of one seed, so a network does not depend on its shard then either. With
    ``patience`` each network keeps the weights of the epoch with its lowest validation loss, and training
    ends when all have gone that many epochs without improving.

    Parameters
    ----------
    architecture
        The networks' architecture.
    dataset
        Training examples, and validation examples for ``patience``.
    plans
        Seed and initialisation of each network.
    training
        The training settings.
    device
        Where networks are trained.
    checkpoint
        Where the state is saved at intervals, and resumed from.
    steps
        Total number of batches; None for ``training.epochs`` epochs.
    keep
        Numbers of batches, ascending, after which the networks are kept as checkpoints.
    watch
        Called after each batch with the number of batches so far and the networks.
    start
        The networks to train; None for new ones.
    frozen
        Names of parameters that are not trained.
    answers
        What to learn for each training example instead of its target, (m, c) float32, on the scale of the
        task's `answers`. The validation loss still uses the targets.

    Returns
    -------
    The trained networks.

    Raises
    ------
    NumericalError
        If a network's weights are not finite or too large; names the networks.
    InputError
        If training ends before the last checkpoint.
    """
    inputs = torch.from_numpy(dataset.train.inputs).to(device)
    targets = torch.from_numpy(dataset.train.targets if answers is None else answers).to(device)
    first = initial_networks(architecture, plans) if start is None else start
    networks = first.map(lambda value: value.to(device, copy=True))
    parameters = architecture.parameters_of(networks).items()
    trained = [value.requires_grad_() for name, value in parameters if name not in frozen]
    optimizer = make_optimizer(trained, training)
    task = task_of(dataset.train.task, dataset.train.tolerance, dataset.train.scale)
    losses = task.losses if answers is None else task.distillation_losses
    best = _Best.start(networks)
    first_epoch, first_batch = 0, 0
    kept: list[NetworkState[Tensor]] = []  # as saved, plain dictionaries
    state = checkpoint.load() if checkpoint else None
    if state:
        first_epoch, first_batch, best = state["epoch"], state["batch"], _Best(**state["best"])
        best.networks = StackedNetworks(best.networks).map(lambda value: value.to(device))
        kept = state["kept"]
        optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            for name, value in networks.items():
                value.copy_(state["networks"][name])
        logger.info("resumed after batch %d of epoch %d", first_batch, first_epoch + 1)

    seeds = [SHARED_BATCHES] if training.batches == "shared" else [plan.seed for plan in plans]
    n_batches = batches_per_epoch(architecture, dataset, training)
    total = training.epochs * n_batches if steps is None else steps
    wanted_steps = frozenset(keep)
    epochs = math.ceil(total / n_batches)
    _require_in_time(keep, total)
    with Progress("batch", total, first_epoch * n_batches + first_batch) as report:
        for epoch in range(first_epoch, epochs):
            if training.patience and not best.waiting(epoch, training.patience).any():
                logger.info("no network improved for %d epochs; stopped", training.patience)
                break
            report.facts["epoch"] = f"{epoch + 1}/{epochs}"
            orders = shuffled_orders(len(targets), seeds, epoch).to(device).split(training.batch_size, dim=1)
            for batch in range(first_batch, min(n_batches, total - epoch * n_batches)):
                seen, wanted = _gather(inputs, orders[batch]), targets[orders[batch]]
                if training.augmentation and dataset.shape:
                    seen = augment(seen, dataset.shape, training.augmentation, seeds, epoch, batch)
                if training.batches == "shared":
                    seen, wanted = seen[0], wanted[0]
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(training, epoch * n_batches + batch, total)
                take_step(architecture, networks, optimizer, seen, wanted, training, losses)
                report.advance()
                if epoch * n_batches + batch + 1 in wanted_steps:
                    kept.append(dict(networks.map(lambda value: value.detach().to("cpu", copy=True))))
                if watch:
                    watch(epoch * n_batches + batch + 1, networks)
                if checkpoint:
                    checkpoint.save_if_due(
                        lambda epoch=epoch, done=batch + 1: {  # type: ignore[misc]
                            "epoch": epoch,
                            "batch": done,
                            "networks": dict(networks.map(Tensor.detach)),
                            "optimizer": optimizer.state_dict(),
                            "best": vars(best) | {"networks": dict(best.networks)},
                            "kept": kept,
                        }
                    )
            first_batch = 0
            _require_finite(networks, plans, epoch)
            if training.patience:
                scores = score_split(architecture, networks, dataset.validation)
                best.update(networks, torch.from_numpy(scores.loss), epoch + 1, training.patience)
    checkpoints: StackedNetworks[Tensor] = StackedNetworks()
    if kept:
        checkpoints = StackedNetworks.stack(kept, lambda arrays: torch.stack(arrays, dim=1))
    if training.patience:
        return TrainedNetworks(best.networks, best.epochs.numpy(), checkpoints)
    return TrainedNetworks(networks.map(Tensor.detach), np.full(len(plans), epochs), checkpoints)


def batches_per_epoch(architecture: Architecture, dataset: Dataset, training: TrainingConfig) -> int:
    """Count the batches of an epoch.

    A last batch that is too small for the architecture is skipped: batch normalisation needs more than one
    value per channel.

    Parameters
    ----------
    architecture
        The networks' architecture.
    dataset
        The data set.
    training
        The batch size.

    Returns
    -------
    The number of batches.
    """
    whole, rest = divmod(len(dataset.train), training.batch_size)
    left_out = rest == 0 or (whole > 0 and rest < architecture.smallest_batch)
    return whole if left_out else whole + 1


@dataclass
class _Best:
    """Each network's weights at its lowest validation loss."""

    networks: StackedNetworks[Tensor]
    losses: Tensor
    epochs: Tensor

    @classmethod
    def start(cls, networks: StackedNetworks[Tensor]) -> "_Best":
        n, copies = networks.count, networks.map(lambda value: value.detach().clone())
        return cls(copies, torch.full((n,), torch.inf, dtype=torch.float64), torch.zeros(n, dtype=torch.long))

    def waiting(self, epoch: int, patience: int) -> Tensor:
        """Return which networks may still improve after ``epoch`` epochs, (n,) bool."""
        return epoch - self.epochs < patience

    def update(self, networks: StackedNetworks[Tensor], losses: Tensor, epoch: int, patience: int) -> None:
        better = (losses < self.losses) & self.waiting(epoch - 1, patience)
        self.losses[better] = losses[better]
        self.epochs[better] = epoch
        for name, value in networks.items():
            chosen = better.to(value.device)
            self.networks[name][chosen] = value.detach()[chosen]


def _gather(inputs: Tensor, batch: Tensor) -> Tensor:
    """Return ``inputs[batch]`` (n, b, features); index_select copies whole rows, in parallel."""
    return inputs.index_select(0, batch.flatten()).view(*batch.shape, *inputs.shape[1:])


def _require_in_time(keep: Sequence[int], total: int) -> None:
    if keep and keep[-1] > total:
        raise InputError(
            f"trajectory: the last of {len(keep)} checkpoints follows batch {keep[-1]}, but training ends "
            f"after {total} batches, when {sum(step <= total for step in keep)} are kept; lower checkpoints, "
            "every or skip_epochs, or raise training.epochs"
        )


def _require_finite(networks: StackedNetworks[Tensor], plans: list[NetworkPlan], epoch: int) -> None:
    n = len(plans)
    usable = torch.stack(
        [(v.detach().reshape(n, -1).abs() <= LARGEST_WEIGHT).all(1) for v in networks.values()]
    ).all(0)
    if not usable.all():
        names = [plan.name for plan, good in zip(plans, usable.tolist(), strict=True) if not good]
        raise NumericalError(
            f"{len(names)} of {len(plans)} networks have weights that are not finite, or larger than "
            f"{LARGEST_WEIGHT:.0e}, after epoch {epoch + 1}: "
            f"{', '.join(names[:5])}; lower training.lr"
        )
