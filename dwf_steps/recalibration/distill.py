"""A few optimisation steps towards the training networks' mean prediction."""

import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.recalibration import Distill
from dwf_steps.config.zoo import Optimization
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks.base import Task
from dwf_steps.zoo.optimization import learning_rate, make_optimizer, take_step


def distill(
    architecture: Architecture,
    networks: StackedNetworks[Tensor],
    inputs: Tensor,
    answers: Tensor,
    method: Distill,
    task: Task,
) -> StackedNetworks[Tensor]:
    """Return n networks after ``method.steps`` steps of Adam towards ``answers`` (Hinton et al. 2015, arXiv
    1503.02531, at temperature 1), each network with its own gradient, all with the same batches.

    Parameters
    ----------
    inputs, answers
        (b, features) and (b, c), as the task's `answers` are.
    """
    tuned = networks.map(lambda value: value.detach().clone())
    trained = [value.requires_grad_() for value in architecture.parameters_of(tuned).values()]
    training = Optimization(lr=method.lr, schedule="cosine")
    optimizer, n = make_optimizer(trained, training), networks.count
    draws = torch_generator("distillation batches", method.seed)
    for step in range(method.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(training, step, method.steps)
        batch = torch.randperm(len(inputs), generator=draws)[: method.batch_size].to(inputs.device)
        seen, wanted = (values[batch].expand(n, -1, -1) for values in (inputs, answers))
        take_step(architecture, tuned, optimizer, seen, wanted, training, task.distillation_losses)
    return tuned.map(Tensor.detach)
