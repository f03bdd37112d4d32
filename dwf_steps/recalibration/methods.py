"""Recalibration: methods applied in order to many networks, using only training examples."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.batch_norm import recompute_statistics
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.recalibration import (
    BatchNorm,
    Distill,
    FineTune,
    LastLayer,
    RecalibrationMethod,
    ReferenceStatistics,
    Repair,
)
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.scores import mean_answers
from dwf_steps.recalibration.distill import distill
from dwf_steps.recalibration.fine_tune import fine_tune
from dwf_steps.recalibration.last_layer import refit_last_layer
from dwf_steps.recalibration.repair import repair
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.arrays import evenly
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks import task_of
from dwf_steps.tasks.base import Task

REFERENCES = 100  # training networks, at most, whose activation statistics are restored


def apply_recalibration(
    architecture: Architecture,
    networks: StackedNetworks[Tensor],
    methods: Sequence[RecalibrationMethod],
    train: Split,
    references: Sequence[StackedNetworks[Tensor]],
) -> StackedNetworks[Tensor]:
    """Apply recalibration methods to n networks, in order.

    Parameters
    ----------
    architecture
        The networks' architecture.
    networks
        The n networks.
    methods
        The methods.
    train
        Training examples; each method draws its own from them, the same for all networks.
    references
        Arrays that each method needs, from `references_of`.

    Returns
    -------
    The recalibrated networks.
    """
    result = StackedNetworks(networks)
    device = networks.device
    for method, reference in zip(methods, references, strict=True):
        if isinstance(method, ReferenceStatistics):
            result |= {name: value.expand_as(result[name]) for name, value in reference.items()}
            continue
        examples = _examples(method, train)
        inputs, targets = (
            torch.from_numpy(values).to(device) for values in (examples.inputs, examples.targets)
        )
        match method:
            case LastLayer():
                result = refit_last_layer(_mlp(architecture), result, inputs, targets, method.ridge)
            case Repair():
                result = repair(_mlp(architecture), result, reference, inputs)
            case FineTune():
                result = fine_tune(architecture, result, inputs, targets, method, _task(train))
            case Distill():
                answers = reference["answers"][0]
                result = distill(architecture, result, inputs, answers, method, _task(train))
            case BatchNorm():
                result = recompute_statistics(architecture, result, inputs, method.batch_size)
    return result


def references_of(
    methods: Sequence[RecalibrationMethod], zoo: WeightMatrix, architecture: Architecture, train: Split
) -> list[StackedNetworks[np.ndarray]]:
    """Collect the arrays of training networks that each method needs.

    Parameters
    ----------
    methods
        The methods.
    zoo
        The zoo's weight matrix.
    architecture
        The networks' architecture.
    train
        Training examples.

    Returns
    -------
    A stack for each method: for `Repair` up to `REFERENCES` networks, evenly spaced; for
    `ReferenceStatistics` the running statistics of one network; for `Distill` the mean ``answers`` (1, m, c)
    for its m probes; empty for others.
    """
    references = []
    for method in methods:
        found: StackedNetworks[np.ndarray] = StackedNetworks()
        if isinstance(method, Repair):
            found = zoo.networks(evenly(REFERENCES, zoo.n_training))
        elif isinstance(method, ReferenceStatistics):
            statistics = [name for name, array in zoo.buffers.items() if array.dtype.kind == "f"]
            found = zoo.buffers.only(statistics).select([method.network])
        elif isinstance(method, Distill):
            probes = _examples(method, train)
            answers = mean_answers(architecture, zoo, probes, select_device(), method.teachers)
            found = StackedNetworks({"answers": answers[None]})
        references.append(found)
    return references


def _mlp(architecture: Architecture) -> MLPArchitecture:
    if not isinstance(architecture, MLPArchitecture):
        raise ValueError("only multilayer perceptrons can be recalibrated layer by layer")
    return architecture


def _task(train: Split) -> Task:
    return task_of(train.task, train.tolerance, train.scale)


def _examples(method: LastLayer | Repair | FineTune | Distill | BatchNorm, train: Split) -> Split:
    if isinstance(method, Distill):
        return choose_probes(train, method.probes, method.seed)
    order = torch.randperm(len(train), generator=torch_generator("recalibration", method.seed))
    chosen = order[: method.examples].numpy()
    return train.take(chosen)
