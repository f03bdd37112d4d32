"""Distillation: a few optimisation steps towards the training networks' mean prediction."""

from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.recalibration import Distill
from dwf_steps.config.zoo import Optimization
from dwf_steps.recalibration.fine_tune import tune
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks.base import Task


def distill(
    architecture: Architecture,
    networks: StackedNetworks[Tensor],
    inputs: Tensor,
    answers: Tensor,
    method: Distill,
    task: Task,
) -> StackedNetworks[Tensor]:
    """Train n networks towards given predictions, with Adam and a cosine schedule.

    Each network follows its own gradient; all see the same batches (Hinton et al. 2015, arXiv 1503.02531, at
    temperature 1).

    Parameters
    ----------
    architecture
        The networks' architecture.
    networks
        The n networks.
    inputs
        Training inputs, (m, features).
    answers
        The predictions to learn, (m, c), on the scale of the task's `answers`.
    method
        Steps, batch size, learning rate and seed.
    task
        The task, which defines the loss.

    Returns
    -------
    The trained networks.
    """
    training = Optimization(lr=method.lr, schedule="cosine")
    draws, losses = torch_generator("distillation batches", method.seed), task.distillation_losses
    return tune(architecture, networks, inputs, answers, method, training, draws, losses)
