"""torchvision and transformers, which imports it, beside a CPU-only PyTorch.

The compiled extension of torchvision's wheel does not load there, and the import then fails because two
operator schemas are missing. Declaring the two is enough for data sets, transforms and models.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def torchvision_datasets() -> ModuleType:
    """Return ``torchvision.datasets``."""
    return torchvision("datasets")


def torchvision(name: str) -> ModuleType:
    """Return a module of torchvision."""
    try:
        return importlib.import_module(f"torchvision.{name}")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        import torch

        library = torch.library.Library("torchvision", "DEF")
        for operator, schema in SCHEMAS.items():
            library.define(operator + schema)
        _KEEP_ALIVE.append(library)
        return importlib.import_module(f"torchvision.{name}")


def transformers(name: str) -> ModuleType:
    """Return a module of transformers."""
    torchvision("transforms")
    return importlib.import_module(f"transformers.{name}")


_KEEP_ALIVE: list[torch.library.Library] = []
