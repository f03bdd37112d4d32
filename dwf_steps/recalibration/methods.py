"""Recalibration: methods applied in order to many networks, on training examples alone."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.recalibration import FineTune, LastLayer, Repair, RepairMethod
from dwf_steps.datasets.splits import Split
from dwf_steps.randomness import torch_generator
from dwf_steps.recalibration.fine_tune import fine_tune
from dwf_steps.recalibration.last_layer import refit_last_layer
from dwf_steps.recalibration.repair import repair

Parameters = Mapping[str, Tensor]


def recalibrate(
    architecture: Architecture,
    parameters: Parameters,
    methods: Sequence[RepairMethod],
    train: Split,
    reference: Parameters,
) -> dict[str, Tensor]:
    """Apply ``methods`` in order to n networks, parameters (n, *shape).

    Parameters
    ----------
    train
        Training examples; each method draws its own from them, the same for all networks.
    reference
        Training networks, parameters (r, *shape), whose statistics `Repair` restores.
    """
    networks = dict(parameters)
    device = next(iter(networks.values())).device
    for method in methods:
        chosen = _examples(method, train)
        inputs = torch.from_numpy(train.inputs[chosen]).to(device)
        targets = torch.from_numpy(train.targets[chosen]).to(device)
        match method:
            case LastLayer():
                networks = refit_last_layer(_mlp(architecture), networks, inputs, targets, method.ridge)
            case Repair():
                networks = repair(_mlp(architecture), networks, reference, inputs)
            case FineTune():
                networks = fine_tune(architecture, networks, inputs, targets, method)
    return networks


def _mlp(architecture: Architecture) -> MLPArchitecture:
    if not isinstance(architecture, MLPArchitecture):
        raise ValueError("only multilayer perceptrons can be repaired layer by layer")
    return architecture


def _examples(method: RepairMethod, train: Split) -> np.ndarray:
    order = torch.randperm(len(train), generator=torch_generator("recalibration", method.seed))
    return order[: method.examples].numpy()
