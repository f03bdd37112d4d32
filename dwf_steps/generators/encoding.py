"""Encoding of new networks in the coordinates that a generator works in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dwf_steps.storage.stacked import StackedNetworks

if TYPE_CHECKING:
    from dwf_steps.config.architecture import ArchitectureConfig
    from dwf_steps.config.representation import Probing


class Described(Protocol):
    """Settings that describe a representation by responses; both properties are None for weights."""

    @property
    def architecture(self) -> ArchitectureConfig | None: ...

    @property
    def probing(self) -> Probing | None: ...


def encoder_of(
    settings: Described, responses: Path | None, data: Path | None
) -> Callable[[StackedNetworks[np.ndarray]], np.ndarray] | None:
    """Build the function that encodes networks as response coordinates.

    Parameters
    ----------
    settings
        The networks' architecture and the probes.
    responses
        File of the response basis.
    data
        File of the data that probes are chosen from.

    Returns
    -------
    A function from networks' parameters to response coordinates (s, d) float32; None if networks are
    described by their weights.
    """
    if settings.architecture is None or settings.probing is None or responses is None or data is None:
        return None
    # Imported here because few generators encode networks, and most do not need PyTorch.
    from dwf_steps.representation.loading import Probed, load_basis
    from dwf_steps.representation.responses import encode
    from dwf_steps.runtime.device import select_device

    probed = Probed.load(settings.architecture, settings.probing, data, select_device())
    basis = load_basis(responses, probed)

    def encoded(networks: StackedNetworks[np.ndarray]) -> np.ndarray:
        coordinates, _ = encode(probed.capture, basis, networks.tensors(probed.device))
        rows: np.ndarray = coordinates.cpu().numpy().astype(np.float32)
        return rows

    return encoded
