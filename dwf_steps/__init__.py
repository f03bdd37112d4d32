"""Weight-space learning with trained neural networks as data: the workflow's steps and methods."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from dwf_steps.runtime.parent import end_with_parent

if TYPE_CHECKING:
    from dwf_steps.architectures.loading import load_network
    from dwf_steps.cli.align import align
    from dwf_steps.cli.export import export
    from dwf_steps.cli.judge import judge

__all__ = ["align", "export", "judge", "load_network"]

# Imported lazily, so that steps that do not need PyTorch avoid the cost of its import.
_HOMES = {
    "align": "dwf_steps.cli.align",
    "export": "dwf_steps.cli.export",
    "judge": "dwf_steps.cli.judge",
    "load_network": "dwf_steps.architectures.loading",
}

if sys.argv[:1] == ["-m"]:  # Python is about to run one of the modules here: `python -m dwf_steps.train_zoo`
    end_with_parent()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
