"""REPAIR: restoring the activation statistics of training networks (Jordan et al. 2023, arXiv 2211.08403)."""

from itertools import islice

import torch
from torch import Tensor

from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.storage.stacked import StackedNetworks


@torch.no_grad()
def repair(
    architecture: MLPArchitecture,
    networks: StackedNetworks[Tensor],
    reference: StackedNetworks[Tensor],
    inputs: Tensor,
) -> StackedNetworks[Tensor]:
    """Shift and scale pre-activations so that they have the training networks' statistics.

    Layer by layer, every hidden unit receives the mean and the standard deviation over ``inputs`` that it has
    in the reference networks on average (equation 3 of the paper, with the mean over many networks instead of
    two). Units that are constant over the inputs are only shifted.

    Parameters
    ----------
    architecture
        The networks' architecture.
    networks
        The n networks.
    reference
        Reference networks, with units in the same order.
    inputs
        Training inputs, (m, features).

    Returns
    -------
    The repaired networks.
    """
    result = StackedNetworks(networks)
    for layer, wanted in enumerate(architecture.hidden_layers(reference, inputs)):
        mean, std = wanted.mean(1).mean(0), wanted.std(1).mean(0)
        found = next(islice(architecture.hidden_layers(result, inputs), layer, None))
        own_mean, own_std = found.mean(1), found.std(1)
        scale = torch.where(own_std > 0, std / own_std, 1.0)
        weight, bias = result[f"layers.{layer}.weight"], result[f"layers.{layer}.bias"]
        result[f"layers.{layer}.weight"] = weight * scale[:, :, None]
        result[f"layers.{layer}.bias"] = (bias - own_mean) * scale + mean
    return result
