"""The proof that canonicalization changed no network's function."""

import numpy as np
import torch

from dwf_steps.architectures.base import Architecture
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.canonical import in_float64

FUNCTION_TOLERANCE = 1e-6  # relative, outputs in float64


def function_change(
    architecture: Architecture,
    before: StackedNetworks[np.ndarray],
    after: StackedNetworks[np.ndarray],
    probe: np.ndarray,
) -> np.ndarray:
    """Return each network's largest change of an output on ``probe`` (m, features), relative to its largest
    output, computed in float64, (n,)."""
    inputs = torch.from_numpy(probe).double()
    with torch.no_grad():
        old, new = (
            architecture.forward(in_float64(networks).tensors(), inputs).flatten(1)
            for networks in (before, after)
        )
    # A network whose outputs are all zero must stay so: 0 / 0 counts as no change, x / 0 as infinite.
    change = (new - old).abs().amax(1)
    relative = torch.where(change == 0, 0.0, change / old.abs().amax(1))
    return relative.numpy()


def require_same_function(names: list[str], change: np.ndarray) -> None:
    """Raise `ArithmeticError` if any network's outputs changed by more than 1e-6."""
    worst = int(np.argmax(change))
    if not change[worst] <= FUNCTION_TOLERANCE:
        raise ArithmeticError(
            f"canonicalization changed the function of {int((~(change <= FUNCTION_TOLERANCE)).sum())} of "
            f"{len(names)} networks, most {names[worst]}: outputs differ by {change[worst]:.2e} relative, "
            f"expected at most {FUNCTION_TOLERANCE:.0e}. The architecture's symmetry specification does not "
            "fit its network"
        )
