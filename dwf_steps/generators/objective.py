"""Checks of user-defined guidance losses before the workflow starts."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.plugins import describe

N, BATCH = 2, 3


def check_objective(objective: Callable[..., Any], target: str, key: str, classes: int) -> None:
    """Call an objective once, with outputs and targets as guidance passes them.

    Parameters
    ----------
    objective
        Maps outputs (n, b, classes) and targets (b,), classes or, if ``classes`` is 1, numbers, to losses
        (n,).
    target
        Its name in the configuration, ``package.module:function``.
    key
        The configuration key, for messages.
    classes
        Number of a network's outputs.

    Raises
    ------
    InputError
        If it fails, or does not return losses (n,) with a gradient.
    """
    outputs = torch.zeros(N, BATCH, classes, requires_grad=True)
    targets = torch.zeros(BATCH, dtype=torch.float32 if classes == 1 else torch.int64)
    try:
        losses = objective(outputs, targets)
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"{key}: {target} fails on outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)} "
            f"({describe(error)}); correct it"
        ) from error
    if not isinstance(losses, Tensor) or losses.shape != (N,) or not losses.requires_grad:
        found = f"a tensor of shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else repr(losses)
        constant = ", which does not depend on the outputs" * (
            isinstance(losses, Tensor) and not losses.requires_grad
        )
        raise InputError(
            f"{key}: {target} returned {found:.100}{constant} for outputs {tuple(outputs.shape)} and targets "
            f"{tuple(targets.shape)}, expected a loss for each network, ({N},), with a gradient"
        )
