"""The loss barrier between networks, at the midpoint of the straight line."""

from collections.abc import Mapping

import numpy as np
import torch

from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.batch_norm import recompute_statistics
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.scores import score_split

BARRIER_EXAMPLES = 2000  # training examples on which barriers are measured
BATCH_SIZE = 250


def midpoint_barrier(
    architecture: Architecture,
    networks: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    split: Split,
) -> np.ndarray:
    """Return L((a + b) / 2) - (L(a) + L(b)) / 2 of n networks a and one reference b, or each with its own,
    of the mean loss, (n,).

    The definition of Frankle et al. 2020 and Entezari et al. 2022 with the path sampled at its midpoint.
    There batch normalisation has the statistics that it sees on the split (Jordan et al. 2023); the mean of
    the ends' would be no network's.
    """
    ends = {name: torch.from_numpy(array).float() for name, array in networks.items()}
    other = {name: torch.from_numpy(np.asarray(array)).float() for name, array in reference.items()}
    if any(other[name].dim() < ends[name].dim() for name in ends):
        other = {name: array[None] for name, array in other.items()}
    middle = {name: (array + other[name]) / 2 for name, array in ends.items()}
    middle = recompute_statistics(architecture, middle, torch.from_numpy(split.inputs), BATCH_SIZE)
    at_ends = score_split(architecture, ends, split).loss
    at_other = score_split(architecture, other, split).loss
    return score_split(architecture, middle, split).loss - (at_ends + at_other) / 2
