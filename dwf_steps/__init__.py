"""Trained neural networks as data: the steps and the mathematics of the workflow."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from dwf_steps.runtime.parent import end_with_parent

if TYPE_CHECKING:
    from dwf_steps.architectures.loading import load_network

__all__ = ["load_network"]

if sys.argv[:1] == ["-m"]:  # Python is about to run one of the modules here: `python -m dwf_steps.train_zoo`
    end_with_parent()


def __getattr__(name: str) -> Any:
    # Lazy, so that steps that need no PyTorch do not pay for its import.
    if name == "load_network":
        return importlib.import_module("dwf_steps.architectures.loading").load_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
