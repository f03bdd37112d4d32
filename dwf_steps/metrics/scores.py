"""Predictions and scores of many networks on a split, at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.datasets.splits import Split
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks import task_of
from dwf_steps.tasks.base import Task

# What the widest layer of a block of examples may take: on a CPU what its cache holds.
ACTIVATIONS_BYTES = {"cpu": 4 * 2**20, "cuda": 2**28}


@dataclass(frozen=True)
class SplitScores:
    """Of n networks on m examples: ``accuracy`` and mean ``loss``, each (n,)."""

    accuracy: np.ndarray
    loss: np.ndarray


@torch.no_grad()
def score_split(architecture: Architecture, networks: StackedNetworks[Tensor], split: Split) -> SplitScores:
    """Score n networks on one split in one batched pass, block of examples by block of examples."""
    n, task = networks.count, task_of(split.task, split.tolerance, split.scale)
    loss, right = torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.int64)
    for block, outputs in _outputs(architecture, networks, split.inputs):
        targets = torch.from_numpy(split.targets[block]).to(outputs.device)
        loss += task.losses(outputs, targets).sum(1, dtype=torch.float64).cpu()
        right += task.right(outputs, targets).sum(1).cpu()
    return SplitScores((right.double() / len(split)).numpy(), (loss / len(split)).numpy())


@torch.no_grad()
def predictions_of(
    architecture: Architecture, networks: StackedNetworks[Tensor], inputs: np.ndarray, task: Task
) -> np.ndarray:
    """Return the predictions of n networks for m inputs, (n, m, c), as the task keeps them."""
    n, outputs = networks.count, architecture.config.classes
    result = np.empty((n, len(inputs), outputs), task.dtype)
    for block, found in _outputs(architecture, networks, inputs):
        result[:, block] = task.predictions(found).cpu().numpy()
    return result


@torch.no_grad()
def summed_answers(
    architecture: Architecture, networks: StackedNetworks[Tensor], inputs: np.ndarray, task: Task
) -> np.ndarray:
    """Return the sum of n networks' answers for m inputs, (m, c) float64: of probabilities, or of numbers."""
    result = np.empty((len(inputs), architecture.config.classes))
    for block, found in _outputs(architecture, networks, inputs):
        result[block] = task.answers(found).sum(0, dtype=torch.float64).cpu().numpy()
    return result


def _outputs(
    architecture: Architecture, networks: StackedNetworks[Tensor], inputs: np.ndarray
) -> Iterator[tuple[slice, Tensor]]:
    """Yield blocks of the m inputs, as many as fit, with n networks' outputs for them, (n, block, c)."""
    first = networks[architecture.layout.entries[0].name]
    at_once = architecture.groups(len(first), first.device)[0].stop
    most = ACTIVATIONS_BYTES[first.device.type]
    size = max(1, most // (at_once * architecture.widest * first.element_size()))
    for start in progress(range(0, len(inputs), size), "block of examples"):
        block = slice(start, start + size)
        yield block, architecture.forward(networks, torch.from_numpy(inputs[block]).to(first))
