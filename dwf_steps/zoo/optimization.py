"""One step of many networks at once: losses, gradients, learning rate."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.zoo import Optimization
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.stacked import StackedNetworks

Losses = Callable[[Tensor, Tensor], Tensor]
"""Of outputs (n, b, c) and their targets, the loss of every output, (n, b)."""


def make_optimizer(parameters: list[Tensor], training: Optimization) -> torch.optim.Optimizer:
    """Return the optimiser of n networks' parameters, which acts weight by weight."""
    common = {"lr": training.lr, "weight_decay": training.weight_decay, "fused": True}
    match training.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, **common)  # type: ignore[arg-type]
        case "adamw":
            return torch.optim.AdamW(parameters, **common)  # type: ignore[arg-type]
        case "sgd":
            return torch.optim.SGD(parameters, momentum=training.momentum, **common)  # type: ignore[arg-type]


def learning_rate(training: Optimization, step: int, total: int) -> float:
    """Return the learning rate of a step, the first being 0: after ``warmup`` of all ``total`` steps, in
    which it rises linearly, it is constant, falls linearly to zero, or by half a cosine (Loshchilov & Hutter
    2017, equation 5)."""
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
    """Take one step of n networks, each on its own examples.

    Losses are summed over networks, so that every network gets its own gradient. As many run at once as are
    fastest and as the device's memory holds (`Architecture.in_groups`); the optimiser steps once for all.

    Parameters
    ----------
    networks
        Parameters have gradients.
    inputs, targets
        (n, b, features) and (n, b), or whatever the losses take.
    losses
        What is averaged over examples.

    Raises
    ------
    InputError
        If there are fewer examples than batch normalisation needs.
    """
    if inputs.shape[1] < architecture.smallest_batch:
        raise InputError(
            f"batch_size: found a batch of {inputs.shape[1]} example, expected at least "
            f"{architecture.smallest_batch}, since {architecture.config.called} normalises over batches; "
            "raise it, or use more data"
        )
    mixed = torch.autocast(inputs.device.type, torch.bfloat16, enabled=training.precision == "bfloat16")
    # Running statistics move along; where memory is exhausted half-way they must not move twice.
    buffers = {name: networks[name] for name in architecture.buffers}
    before = {name: value.clone() for name, value in buffers.items()}
    attempts = 0

    def gradients(groups: list[slice]) -> None:
        nonlocal attempts
        if attempts:
            for name, value in before.items():
                buffers[name].copy_(value)
        attempts += 1
        optimizer.zero_grad(set_to_none=len(groups) == 1)
        for rows in groups:
            some = networks if len(groups) == 1 else _views(architecture, networks, rows)
            with mixed:
                outputs = architecture.forward(some, inputs[rows], True, training.channels_last).float()
            losses(outputs, targets[rows]).mean(1).sum().backward()

    architecture.in_groups(len(inputs), inputs.device, gradients)
    if training.clip is not None:
        clip_gradients(list(architecture.parameters_of(networks).values()), training.clip)
    optimizer.step()


def clip_gradients(parameters: list[Tensor], norm: float) -> None:
    """Scale the gradient of each of n networks, parameters (n, *shape), to a Euclidean norm of at most
    ``norm``."""
    gradients = [value.grad for value in parameters if value.grad is not None]
    squares = sum(gradient.flatten(1).square().sum(1) for gradient in gradients)
    factor = (norm / torch.as_tensor(squares).sqrt().clamp(min=norm)).clamp(max=1)
    for gradient in gradients:
        gradient *= factor.view(-1, *[1] * (gradient.dim() - 1))


def _views(
    architecture: Architecture, networks: StackedNetworks[Tensor], rows: slice
) -> StackedNetworks[Tensor]:
    """Return some of the networks, whose gradients are added to where all networks' are."""
    some = networks.select(rows)
    for name, whole in architecture.parameters_of(networks).items():
        if not whole.requires_grad:
            continue
        if whole.grad is None:
            whole.grad = torch.zeros_like(whole)
        some[name] = whole.detach()[rows].requires_grad_()
        some[name].grad = whole.grad[rows]
    return some
