"""What many networks say about a split, at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.architectures.base import Architecture
from dwf_steps.datasets.splits import Split
from dwf_steps.progress import progress
from dwf_steps.storage.outputs import LOWEST

# What the widest layer of a block of examples may take: on a CPU what its cache holds.
ACTIVATIONS_BYTES = {"cpu": 4 * 2**20, "cuda": 2**28}


@dataclass(frozen=True)
class Scores:
    """Of n networks on m examples: ``accuracy`` (n,), mean cross-entropy ``loss`` (n,) in nats, and
    ``predictions`` (n, m), the most probable classes."""

    accuracy: np.ndarray
    loss: np.ndarray
    predictions: np.ndarray


@torch.no_grad()
def score_split(architecture: Architecture, networks: Mapping[str, Tensor], split: Split) -> Scores:
    """Score n networks on one split in one batched pass, block of examples by block of examples."""
    n = len(next(iter(networks.values())))
    loss = torch.zeros(n, dtype=torch.float64)
    predictions = np.empty((n, len(split)), dtype=np.int16)
    for block, logits in _logits(architecture, networks, split.inputs):
        targets = torch.from_numpy(split.targets[block]).to(logits.device)
        losses = F.cross_entropy(logits.transpose(1, 2), targets.expand(n, -1), reduction="none")
        loss += losses.sum(1, dtype=torch.float64).cpu()
        predictions[:, block] = logits.argmax(-1).cpu().numpy()
    accuracy = (predictions == split.targets).mean(axis=1)
    return Scores(accuracy, (loss / len(split)).numpy(), predictions)


@torch.no_grad()
def log_probabilities(
    architecture: Architecture, networks: Mapping[str, Tensor], inputs: np.ndarray
) -> np.ndarray:
    """Return the log-probabilities (n, m, c) float16 that n networks give to the classes of m inputs.

    They are clipped at `LOWEST`, which float16 still holds; NaN where a network's outputs are not finite.
    """
    n, classes = len(next(iter(networks.values()))), architecture.config.classes
    result = np.empty((n, len(inputs), classes), np.float16)
    for block, logits in _logits(architecture, networks, inputs):
        finite = logits.isfinite().all(-1, keepdim=True)
        clipped = logits.masked_fill(~finite, torch.nan).log_softmax(-1).clamp(min=LOWEST)
        result[:, block] = clipped.half().cpu().numpy()
    return result


def _logits(
    architecture: Architecture, networks: Mapping[str, Tensor], inputs: np.ndarray
) -> Iterator[tuple[slice, Tensor]]:
    """Yield blocks of the m inputs, as many as fit, with what n networks say about them, (n, block, c)."""
    first = networks[architecture.layout.entries[0].name]
    together = architecture.groups(len(first), first.device)[0].stop
    most = ACTIVATIONS_BYTES[first.device.type]
    size = max(1, most // (together * architecture.widest * first.element_size()))
    for start in progress(range(0, len(inputs), size), "block of examples"):
        block = slice(start, start + size)
        yield block, architecture.forward(networks, torch.from_numpy(inputs[block]).to(first))
