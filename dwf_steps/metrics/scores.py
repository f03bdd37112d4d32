"""Predictions and scores of many networks on a split, at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.datasets.splits import Split
from dwf_steps.runtime import gpu
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.memory import in_halves
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.arrays import evenly
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import network_groups
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks import task_of
from dwf_steps.tasks.base import Task

# What the widest layer of a block of examples may take: on a CPU what its cache holds.
ACTIVATIONS_BYTES = {"cpu": 4 * 2**20, "cuda": gpu.SCORING_BYTES}


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


def mean_answers(
    architecture: Architecture,
    matrix: WeightMatrix,
    probes: Split,
    device: torch.device,
    teachers: int | None = None,
) -> np.ndarray:
    """Return the mean over training networks of their predictions for m probes, (m, c) float32:
    probabilities, or numbers.

    As many networks as fit are in memory at a time; held-out ones are not read.

    Parameters
    ----------
    teachers
        How many training networks at most, spread evenly; None for all.

    Raises
    ------
    InputError
        If a prediction is not finite.
    """
    task = task_of(probes.task, probes.tolerance, probes.scale)
    total = np.zeros((len(probes), architecture.config.classes))
    rows = evenly(teachers or matrix.n_training, matrix.n_training).tolist()
    groups = network_groups(rows, architecture.layout.size)
    for group in progress(groups, "group of networks"):
        networks = matrix.networks(group).tensors(device)
        total += summed_answers(architecture, networks, probes.inputs, task)
    if not (finite := np.isfinite(total).all(axis=1)).all():
        raise InputError(
            f"{matrix.path}: the training networks' mean prediction is not finite for {(~finite).sum()} of "
            f"{len(probes)} probes; expected numbers. Remove or retrain the networks that overflow"
        )
    mean: np.ndarray = (total / len(rows)).astype(np.float32)
    return mean


def _outputs(
    architecture: Architecture, networks: StackedNetworks[Tensor], inputs: np.ndarray
) -> Iterator[tuple[slice, Tensor]]:
    """Yield blocks of the m inputs, as many as fit, with n networks' outputs for them, (n, block, c)."""
    first = networks[architecture.layout.entries[0].name]
    at_once = architecture.groups(len(first), first.device)[0].stop
    most = ACTIVATIONS_BYTES[first.device.type]
    size = max(1, most // (at_once * architecture.widest * first.element_size()))
    fitting = size
    for start in progress(range(0, len(inputs), size), "block of examples"):
        block = slice(start, start + size)
        seen = torch.from_numpy(inputs[block]).to(first)
        outputs, fitting = in_halves(
            min(fitting, len(seen)),
            lambda most, seen=seen: _joined(  # type: ignore[misc]
                [architecture.forward(networks, part) for part in seen.split(most)]
            ),
            "examples",
        )
        yield block, outputs


def _joined(parts: list[Tensor]) -> Tensor:
    """Return the outputs (n, b, c) of all parts of a block."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
