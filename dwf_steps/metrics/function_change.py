"""Check that canonicalization preserves the networks' functions."""

import numpy as np
import torch

from dwf_steps.architectures.base import Architecture
from dwf_steps.runtime.errors import NumericalError
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.canonical import in_float64

FUNCTION_TOLERANCE = 1e-6  # relative, outputs in float64


def function_change(
    architecture: Architecture,
    before: StackedNetworks[np.ndarray],
    after: StackedNetworks[np.ndarray],
    probe: np.ndarray,
) -> np.ndarray:
    """Return the largest relative change of each network's outputs, computed in float64.

    Parameters
    ----------
    architecture
        That of all networks.
    before, after
        The n networks before and after canonicalization.
    probe
        Inputs (m, features).

    Returns
    -------
    The largest change of an output on ``probe``, relative to the network's largest output, (n,).
    """
    inputs = torch.from_numpy(probe).double()
    with torch.no_grad():
        old, new = (
            architecture.forward(in_float64(networks).tensors(), inputs).flatten(1)
            for networks in (before, after)
        )
    # If all outputs are zero, they must stay zero: 0 / 0 counts as no change, x / 0 as an infinite one.
    change = (new - old).abs().amax(1)
    relative = torch.where(change == 0, 0.0, change / old.abs().amax(1))
    return relative.numpy()


def require_same_function(names: list[str], change: np.ndarray) -> None:
    """Require that no network's outputs changed by more than `FUNCTION_TOLERANCE`.

    Parameters
    ----------
    names
        Names of the n networks.
    change
        Their `function_change`, (n,).

    Raises
    ------
    NumericalError
        If an output changed by more, or is NaN.
    """
    worst = int(np.argmax(change))
    if not change[worst] <= FUNCTION_TOLERANCE:
        raise NumericalError(
            f"canonicalization changed the function of {int((~(change <= FUNCTION_TOLERANCE)).sum())} of "
            f"{len(names)} networks, most {names[worst]}: outputs differ by {change[worst]:.2e} relative, "
            f"expected at most {FUNCTION_TOLERANCE:.0e}. The architecture's symmetry specification does not "
            "fit its network"
        )
