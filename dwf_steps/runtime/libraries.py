"""Imports of torchvision, and of transformers, which imports it, with a CPU-only PyTorch.

The compiled extension of torchvision's wheel does not load there, and the import fails because two operator
schemas are missing. Declaring them is enough for data sets, transforms and models.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Result = TypeVar("Result")

SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def torchvision_datasets() -> ModuleType:
    """Import torchvision's data sets.

    Returns
    -------
    ``torchvision.datasets``.
    """
    return torchvision("datasets")


def torchvision(name: str) -> ModuleType:
    """Import a module of torchvision.

    Parameters
    ----------
    name
        The module's name within torchvision, such as ``models``.

    Returns
    -------
    The module.
    """
    return despite_missing_operators(partial(importlib.import_module, f"torchvision.{name}"))


def despite_missing_operators(call: Callable[[], Result]) -> Result:
    """Call a function that may import torchvision, and declare torchvision's operators if it needs them.

    Parameters
    ----------
    call
        The function. It is called a second time if it fails because the operators are not declared.

    Returns
    -------
    The function's result.
    """
    try:
        return call()
    except Exception as error:  # libraries that import torchvision raise their own errors from it
        if _KEEP_ALIVE or not _is_of_operators(error):
            raise
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for operator, schema in SCHEMAS.items():
        library.define(operator + schema)
    _KEEP_ALIVE.append(library)
    return call()


def _is_of_operators(error: BaseException | None) -> bool:
    while error is not None:
        if "torchvision::nms" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def transformers(name: str) -> ModuleType:
    """Import a module of transformers.

    Parameters
    ----------
    name
        The module's name within transformers, such as ``models.bert``.

    Returns
    -------
    The module.
    """
    torchvision("transforms")
    return importlib.import_module(f"transformers.{name}")


_KEEP_ALIVE: list[torch.library.Library] = []
