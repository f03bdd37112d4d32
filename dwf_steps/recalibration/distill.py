"""A few optimisation steps towards the training networks' mean prediction."""

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
    """Return n networks after ``method.steps`` steps of Adam towards ``answers`` (Hinton et al. 2015, arXiv
    1503.02531, at temperature 1), each network with its own gradient, all with the same batches.

    Parameters
    ----------
    inputs, answers
        (b, features) and (b, c), as the task's `answers` are.
    """
    training = Optimization(lr=method.lr, schedule="cosine")
    draws, losses = torch_generator("distillation batches", method.seed), task.distillation_losses
    return tune(architecture, networks, inputs, answers, method, training, draws, losses)
