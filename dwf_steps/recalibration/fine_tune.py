"""Fine-tuning: a few optimisation steps on training examples."""

import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.recalibration import Distill, FineTune
from dwf_steps.config.zoo import Optimization
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks.base import Task
from dwf_steps.zoo.optimization import Losses, learning_rate, make_optimizer, take_step


def fine_tune(
    architecture: Architecture,
    networks: StackedNetworks[Tensor],
    inputs: Tensor,
    targets: Tensor,
    method: FineTune,
    task: Task,
) -> StackedNetworks[Tensor]:
    """Train n networks on the task's loss, with Adam.

    Each network follows its own gradient; all see the same batches.

    Parameters
    ----------
    architecture
        The networks' architecture.
    networks
        The n networks.
    inputs
        Training inputs, (m, features).
    targets
        Their targets, (m,).
    method
        Steps, batch size, learning rate and seed.
    task
        The task, which defines the loss.

    Returns
    -------
    The trained networks.
    """
    draws, training = torch_generator("fine-tuning batches", method.seed), Optimization(lr=method.lr)
    return tune(architecture, networks, inputs, targets, method, training, draws, task.losses)


def tune(
    architecture: Architecture,
    networks: StackedNetworks[Tensor],
    inputs: Tensor,
    targets: Tensor,
    method: FineTune | Distill,
    training: Optimization,
    draws: torch.Generator,
    losses: Losses,
) -> StackedNetworks[Tensor]:
    """Train n networks on given losses.

    Each network follows its own gradient; all see the same batches, which are drawn independently of each
    other.

    Parameters
    ----------
    architecture
        The networks' architecture.
    networks
        The n networks.
    inputs
        Training inputs, (m, features).
    targets
        What ``losses`` compare the outputs with, (m, ...).
    method
        Number of steps and batch size.
    training
        Optimiser and learning rate.
    draws
        Source of the batches.
    losses
        The loss of each output.

    Returns
    -------
    The trained networks.
    """
    tuned = networks.map(lambda value: value.detach().clone())
    trained = [value.requires_grad_() for value in architecture.parameters_of(tuned).values()]
    optimizer = make_optimizer(trained, training)
    for step in range(method.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(training, step, method.steps)
        batch = torch.randperm(len(inputs), generator=draws)[: method.batch_size].to(inputs.device)
        take_step(architecture, tuned, optimizer, inputs[batch], targets[batch], training, losses)
    return tuned.map(Tensor.detach)
