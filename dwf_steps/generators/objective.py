"""Losses of the user's own that steer a flow, tried out before work starts."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.plugins import describe

N, BATCH = 2, 3


def check_objective(objective: Callable[..., Any], target: str, key: str, classes: int) -> None:
    """Call an objective once, with outputs and targets of the shapes that it will be given.

    Parameters
    ----------
    objective
        Of outputs (n, b, classes) and targets (b,), classes or, where ``classes`` is 1, numbers.
    target, key
        What the configuration calls it, and where.

    Raises
    ------
    InputError
        If it fails, or does not return losses (n,) that have a gradient.
    """
    outputs = torch.zeros(N, BATCH, classes, requires_grad=True)
    targets = torch.zeros(BATCH, dtype=torch.float32 if classes == 1 else torch.int64)
    try:
        losses = objective(outputs, targets)
    except Exception as error:  # whatever the user's code raises
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
