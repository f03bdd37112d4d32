"""Batched predictions and scores of many networks."""

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

# Memory for the widest layer's outputs on a block of examples; on a CPU, the size of its cache.
ACTIVATIONS_BYTES = {"cpu": 4 * 2**20, "cuda": gpu.SCORING_BYTES}


@dataclass(frozen=True)
class SplitScores:
    """Scores of n networks on a split.

    Attributes
    ----------
    accuracy
        Share of examples that a network is right about (`Task.right`), (n,).
    loss
        Mean loss, (n,).
    """

    accuracy: np.ndarray
    loss: np.ndarray


@torch.no_grad()
def score_split(architecture: Architecture, networks: StackedNetworks[Tensor], split: Split) -> SplitScores:
    """Score n networks on a split, all networks on one block of examples after another.

    Parameters
    ----------
    architecture
        That of all networks.
    networks
        The networks, on the device to compute on.
    split
        The examples.

    Returns
    -------
    Accuracy and mean loss of every network.
    """
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
    """Compute the predictions of n networks for m inputs.

    Parameters
    ----------
    architecture
        That of all networks.
    networks
        The networks, on the device to compute on.
    inputs
        (m, features).
    task
        What the networks were trained to do.

    Returns
    -------
    Predictions (n, m, c) of type ``task.dtype``: log-probabilities of c classes, or numbers with c = 1.
    """
    n, outputs = networks.count, architecture.config.classes
    result = np.empty((n, len(inputs), outputs), task.dtype)
    for block, found in _outputs(architecture, networks, inputs):
        result[:, block] = task.predictions(found).cpu().numpy()
    return result


@torch.no_grad()
def summed_answers(
    architecture: Architecture, networks: StackedNetworks[Tensor], inputs: np.ndarray, task: Task
) -> np.ndarray:
    """Sum the answers of n networks for m inputs.

    Parameters
    ----------
    architecture
        That of all networks.
    networks
        The networks, on the device to compute on.
    inputs
        (m, features).
    task
        What the networks were trained to do.

    Returns
    -------
    Sums over networks of class probabilities, or of predicted numbers, float64 (m, c).
    """
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
    """Average the training networks' answers for m probes.

    As many networks as fit are in memory at a time. Held-out networks are not used.

    Parameters
    ----------
    architecture
        That of all networks.
    matrix
        Weights of the zoo.
    probes
        The probes; targets are not used.
    device
        Where to compute.
    teachers
        The largest number of training networks to average, evenly spaced; None for all.

    Returns
    -------
    Mean class probabilities, or mean predicted numbers, float32 (m, c).

    Raises
    ------
    InputError
        If a mean is not finite.
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
    """Yield blocks of the m inputs that fit into memory, with the outputs (n, block, c) of n networks."""
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
    """Join the outputs (n, b, c) of the parts of a block."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
