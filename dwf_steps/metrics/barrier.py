"""Loss barriers between networks, at the midpoint of the straight line."""

import numpy as np
import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.batch_norm import recompute_statistics
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.scores import score_split
from dwf_steps.runtime.device import select_device
from dwf_steps.storage.stacked import StackedNetworks

BARRIER_EXAMPLES = 2000  # training examples on which barriers are measured
BATCH_SIZE = 250


def midpoint_barrier(
    architecture: Architecture,
    networks: StackedNetworks[np.ndarray],
    reference: StackedNetworks[np.ndarray],
    split: Split,
) -> np.ndarray:
    """Measure the loss barrier between networks a and b, L((a + b) / 2) - (L(a) + L(b)) / 2.

    The definition of Frankle et al. 2020 and Entezari et al. 2022, with the path sampled at its midpoint
    only. Batch norm statistics at the midpoint are recomputed on the split (Jordan et al. 2023): the mean of
    both networks' statistics is wrong there.

    Parameters
    ----------
    architecture
        That of all networks.
    networks
        The n networks a.
    reference
        The networks b, stacked: one for all of them, or n, one for each.
    split
        The examples on which the loss is averaged.

    Returns
    -------
    Barriers in units of the loss, (n,); negative if the midpoint is better than the mean of both ends.
    """
    device = select_device()
    ends, other = (some.tensors(device).map(Tensor.float) for some in (networks, reference))
    middle = StackedNetworks({name: (array + other[name]) / 2 for name, array in ends.items()})
    inputs = torch.from_numpy(split.inputs).to(device)
    middle = recompute_statistics(architecture, middle, inputs, BATCH_SIZE)
    at_ends = score_split(architecture, ends, split).loss
    at_other = score_split(architecture, other, split).loss
    return score_split(architecture, middle, split).loss - (at_ends + at_other) / 2
