"""What many networks say about a split, at once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.datasets.splits import Split
from dwf_steps.progress import progress
from dwf_steps.storage.outputs import LOWEST

ACTIVATIONS_BYTES = 64 * 2**20  # what the widest layer of a block of examples may take


@dataclass(frozen=True)
class Scores:
    """Of n networks on m examples: ``accuracy`` (n,), mean cross-entropy ``loss`` (n,) in nats, and
    ``predictions`` (n, m), the most probable classes."""

    accuracy: np.ndarray
    loss: np.ndarray
    predictions: np.ndarray


@torch.no_grad()
def score_split(architecture: MLPArchitecture, parameters: Mapping[str, Tensor], split: Split) -> Scores:
    """Score n networks on one split in one batched pass, block of examples by block of examples."""
    first = next(iter(parameters.values()))
    n, widest = len(first), max(architecture.config.widths[1:])
    block = max(1, ACTIVATIONS_BYTES // (n * widest * first.element_size()))
    loss = torch.zeros(n, dtype=torch.float64)
    predictions = np.empty((n, len(split)), dtype=np.int16)
    for start in progress(range(0, len(split), block), "block of examples"):
        inputs = torch.from_numpy(split.inputs[start : start + block]).to(first)
        targets = torch.from_numpy(split.targets[start : start + block]).to(first.device)
        logits = architecture.forward(parameters, inputs)
        losses = F.cross_entropy(logits.transpose(1, 2), targets.expand(n, -1), reduction="none")
        loss += losses.sum(1, dtype=torch.float64).cpu()
        predictions[:, start : start + block] = logits.argmax(-1).cpu().numpy()
    accuracy = (predictions == split.targets).mean(axis=1)
    return Scores(accuracy, (loss / len(split)).numpy(), predictions)


@torch.no_grad()
def log_probabilities(
    architecture: MLPArchitecture, parameters: Mapping[str, Tensor], inputs: np.ndarray
) -> np.ndarray:
    """Return the log-probabilities (n, m, c) float16 that n networks give to the classes of m inputs.

    They are clipped at `LOWEST`, which float16 still holds; NaN where a network's outputs are not finite.
    """
    first = next(iter(parameters.values()))
    n, widths = len(first), architecture.config.widths
    block = max(1, ACTIVATIONS_BYTES // (n * max(widths[1:]) * first.element_size()))
    result = np.empty((n, len(inputs), widths[-1]), np.float16)
    for start in progress(range(0, len(inputs), block), "block of examples"):
        logits = architecture.forward(parameters, torch.from_numpy(inputs[start : start + block]).to(first))
        logits = logits.masked_fill(~logits.isfinite().all(-1, keepdim=True), torch.nan)
        clipped = logits.log_softmax(-1).clamp(min=LOWEST)
        result[:, start : start + block] = clipped.half().cpu().numpy()
    return result
