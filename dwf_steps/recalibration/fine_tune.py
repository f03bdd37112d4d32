"""A few optimisation steps."""

import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.recalibration import FineTune
from dwf_steps.config.zoo import TrainingConfig
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks.base import Task
from dwf_steps.zoo.optimization import make_optimizer, take_step


def fine_tune(
    architecture: Architecture,
    networks: StackedNetworks[Tensor],
    inputs: Tensor,
    targets: Tensor,
    method: FineTune,
    task: Task,
) -> StackedNetworks[Tensor]:
    """Return n networks after ``method.steps`` steps of Adam on the task's loss,
    each network with its own gradient, all with the same batches of the examples (b, features), (b,)."""
    tuned = networks.map(lambda value: value.detach().clone())
    trained = [value.requires_grad_() for value in architecture.parameters_of(tuned).values()]
    training = TrainingConfig(lr=method.lr)
    optimizer = make_optimizer(trained, training)
    draws, n = torch_generator("fine-tuning batches", method.seed), len(trained[0])
    for _ in range(method.steps):
        batch = torch.randperm(len(targets), generator=draws)[: method.batch_size].to(targets.device)
        seen, wanted = inputs[batch], targets[batch].expand(n, -1)
        seen = seen.expand(n, *seen.shape)
        take_step(architecture, tuned, optimizer, seen, wanted, training, task.losses)
    return tuned.map(Tensor.detach)
