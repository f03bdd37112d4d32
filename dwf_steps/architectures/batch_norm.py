"""Recomputation of batch normalisation's running statistics."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.module import BatchStatistics, FunctionalArchitecture
from dwf_steps.storage.stacked import StackedNetworks

ACTIVATIONS_BYTES = 2**28  # of the widest layer's outputs, in networks that are run at a time


@torch.no_grad()
def recompute_statistics(
    architecture: Architecture, networks: StackedNetworks[Tensor], inputs: Tensor, batch_size: int
) -> StackedNetworks[Tensor]:
    """Recompute running statistics as exact means and unbiased variances over all inputs.

    In each batch, all layers normalise by the batch's own statistics, as in training. Means and variances of
    batches are combined in float64 (Chan, Golub & LeVeque 1983, equation 2.1). Networks without batch
    normalisation are returned unchanged.

    Parameters
    ----------
    architecture
        The networks' architecture.
    networks
        The n networks.
    inputs
        Training inputs, (m, features).
    batch_size
        Number of inputs in a batch.

    Returns
    -------
    The networks with new statistics.
    """
    result = StackedNetworks(networks)
    if not isinstance(architecture, FunctionalArchitecture) or not architecture.batch_norms:
        return result
    chunk_size = max(1, ACTIVATIONS_BYTES // (4 * batch_size * architecture.widest))
    for name in architecture.batch_norms:
        for statistic in ("running_mean", "running_var"):
            result[f"{name}.{statistic}"] = networks[f"{name}.{statistic}"].clone()
    for rows, some in networks.chunks(chunk_size):
        total: dict[str, BatchStatistics] = {}
        for batch in _batches(inputs, batch_size, architecture.smallest_batch):
            for name, found in architecture.batch_statistics(some, batch).items():
                total[name] = _joined(total[name], found) if name in total else _exact(found)
        for name, found in total.items():
            result[f"{name}.running_mean"][rows] = found.mean.to(inputs.dtype)
            result[f"{name}.running_var"][rows] = found.variance.to(inputs.dtype)
    return result


def _batches(inputs: Tensor, batch_size: int, smallest: int) -> Sequence[Tensor]:
    """Split inputs into batches; a last batch that is too small is merged with the one before."""
    starts = list(range(0, len(inputs), batch_size))
    if len(starts) > 1 and len(inputs) - starts[-1] < smallest:
        starts.pop()
    return inputs.tensor_split(starts[1:])


def _exact(found: BatchStatistics) -> BatchStatistics:
    return BatchStatistics(found.mean.double(), found.variance.double(), found.count)


def _joined(one: BatchStatistics, other: BatchStatistics) -> BatchStatistics:
    """Return the statistics of the union of two sets of values."""
    other, count = _exact(other), one.count + other.count
    apart = other.mean - one.mean
    squares = one.variance * (one.count - 1) + other.variance * (other.count - 1)
    squares = squares + apart.square() * (one.count * other.count / count)
    return BatchStatistics(one.mean + apart * (other.count / count), squares / (count - 1), count)
