"""Optimisation steps of many networks at once: optimiser, learning rate, gradients."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.zoo import Optimization
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.stacked import StackedNetworks

Losses = Callable[[Tensor, Tensor], Tensor]
"""Maps outputs (n, b, c) and their targets to the loss of each output, (n, b)."""


def make_optimizer(parameters: list[Tensor], training: Optimization) -> torch.optim.Optimizer:
    """Build the optimiser of n networks, which updates every weight independently.

    Parameters
    ----------
    parameters
        The networks' parameters, each (n, *shape).
    training
        Kind of optimiser, learning rate, weight decay, momentum.

    Returns
    -------
    The optimiser.
    """
    common = {"lr": training.lr, "weight_decay": training.weight_decay, "fused": True}
    match training.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, **common)  # type: ignore[arg-type]
        case "adamw":
            return torch.optim.AdamW(parameters, **common)  # type: ignore[arg-type]
        case "sgd":
            return torch.optim.SGD(parameters, momentum=training.momentum, **common)  # type: ignore[arg-type]


def learning_rate(training: Optimization, step: int, total: int) -> float:
    """Compute the learning rate of a step.

    After a linear warm-up it is constant, decays linearly to zero, or decays by half a cosine (Loshchilov &
    Hutter 2017, arXiv 1608.03983, equation 5).

    Parameters
    ----------
    training
        Peak learning rate, schedule, and the share of steps of the warm-up.
    step
        Number of the step, from 0.
    total
        Total number of steps.

    Returns
    -------
    The learning rate.
    """
    warmup = math.ceil(training.warmup * total)
    if step < warmup:
        return training.lr * (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    match training.schedule:
        case "constant":
            return training.lr
        case "linear":
            return training.lr * (1 - done)
        case "cosine":
            return training.lr * (1 + math.cos(math.pi * done)) / 2


def take_step(
    architecture: Architecture,
    networks: StackedNetworks[Tensor],
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    targets: Tensor,
    training: Optimization,
    losses: Losses,
) -> None:
    """Take one optimisation step of n networks, in place, each on its own examples or all on the same.

    Losses are summed over networks, so that every network receives its own gradient. Networks are processed
    in groups of the size that is fastest and fits into memory (`Architecture.in_groups`); the optimiser steps
    once for all.

    Parameters
    ----------
    architecture
        The networks' architecture.
    networks
        The n networks, whose trained parameters require gradients.
    optimizer
        The optimiser of these parameters.
    inputs
        (n, b, features), or (b, features) if all networks see the same examples.
    targets
        As ``losses`` take them, with a dimension of networks as in ``inputs``: (n, b), or (b,).
    training
        Precision, memory format, and gradient clipping.
    losses
        The loss of each output, averaged over examples here.

    Raises
    ------
    InputError
        If batch normalisation needs more examples than a batch has.
    """
    if inputs.shape[-2] < architecture.smallest_batch:
        raise InputError(
            f"batch_size: found a batch of {inputs.shape[-2]} example, expected at least "
            f"{architecture.smallest_batch}, because {architecture.config.called} normalises over batches; "
            "raise it, or use more data"
        )
    mixed = torch.autocast(inputs.device.type, torch.bfloat16, enabled=training.precision == "bfloat16")
    # A retry after exhausted memory must not update running statistics twice.
    buffers = {name: networks[name] for name in architecture.buffers}
    before = {name: value.clone() for name, value in buffers.items()}
    own, attempts = inputs.dim() == 3, 0

    def gradients(groups: list[slice]) -> None:
        nonlocal attempts
        if attempts:
            for name, value in before.items():
                buffers[name].copy_(value)
        attempts += 1
        optimizer.zero_grad(set_to_none=len(groups) == 1)
        for rows in groups:
            some = networks if len(groups) == 1 else _views(architecture, networks, rows)
            seen, wanted = (inputs[rows], targets[rows]) if own else (inputs, targets)
            with mixed:
                outputs = architecture.forward(some, seen, True, training.channels_last).float()
            losses(outputs, wanted).mean(1).sum().backward()

    architecture.in_groups(networks.count, inputs.device, gradients)
    if training.clip is not None:
        clip_gradients(list(architecture.parameters_of(networks).values()), training.clip)
    optimizer.step()


def clip_gradients(parameters: list[Tensor], norm: float) -> None:
    """Scale the gradients of n networks in place, each network's to a bounded Euclidean norm.

    Parameters
    ----------
    parameters
        The networks' parameters, each (n, *shape), with gradients.
    norm
        The largest norm.
    """
    gradients = [value.grad for value in parameters if value.grad is not None]
    squares = sum(gradient.flatten(1).square().sum(1) for gradient in gradients)
    factor = (norm / torch.as_tensor(squares).sqrt().clamp(min=norm)).clamp(max=1)
    for gradient in gradients:
        gradient *= factor.view(-1, *[1] * (gradient.dim() - 1))


def _views(
    architecture: Architecture, networks: StackedNetworks[Tensor], rows: slice
) -> StackedNetworks[Tensor]:
    """Return some of the networks; their gradients are views of those of all networks."""
    some = networks.select(rows)
    for name, whole in architecture.parameters_of(networks).items():
        if not whole.requires_grad:
            continue
        if whole.grad is None:
            whole.grad = torch.zeros_like(whole)
        some[name] = whole.detach()[rows].requires_grad_()
        some[name].grad = whole.grad[rows]
    return some
