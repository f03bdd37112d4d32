"""Replacing the output layer of networks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks


def with_classes(config: ArchitectureConfig, classes: int) -> ArchitectureConfig:
    """Change the number of outputs in an architecture's configuration.

    Parameters
    ----------
    config
        The configuration.
    classes
        The new number of outputs.

    Returns
    -------
    The changed configuration.
    """
    if isinstance(config, MLPConfig):
        return config.model_copy(update={"widths": [*config.widths[:-1], classes]})
    return config.model_copy(update={"classes": classes})


def with_new_head(
    config: ArchitectureConfig, networks: StackedNetworks[Tensor], classes: int, seeds: Sequence[int]
) -> tuple[Architecture, StackedNetworks[Tensor]]:
    """Replace the output layer of n networks by untrained ones.

    The output layer consists of the parameters whose shape depends on the number of outputs. Each network's
    is drawn from its seed only.

    Parameters
    ----------
    config
        The networks' architecture.
    networks
        The n networks.
    classes
        Number of outputs of the new layer.
    seeds
        The n seeds.

    Returns
    -------
    The new architecture and the networks.
    """
    own = build(with_classes(config, classes))
    other = build(with_classes(config, classes + 1))
    shapes = {entry.name: entry.shape for entry in other.layout.entries}
    head = [entry.name for entry in own.layout.entries if entry.shape != shapes[entry.name]]
    drawn = [own.initial_state("default", torch_generator("new head", seed)) for seed in seeds]
    heads = StackedNetworks.stack([{name: state[name] for name in head} for state in drawn], torch.stack)
    return own, networks.replaced(heads.map(lambda value: value.to(networks.device)))
