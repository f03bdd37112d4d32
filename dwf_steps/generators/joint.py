"""The generator `joint`: networks for one zoo, drawn by a generator that was fitted to several."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dwf_steps.config.generators.joint import JointConfig
from dwf_steps.generators.network_maker import MadeNetworks, NetworkMaker, Request
from dwf_steps.generators.samples import ZOOS
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.zoo.importing import expected_state


class Joint(NetworkMaker[JointConfig]):
    """Takes the networks that were requested for this zoo, in order; failed ones are NaN."""

    def make(self, request: Request) -> MadeNetworks:
        asked = list(_asked_for(request.zoo, request.made))
        chosen = asked[request.first : request.first + len(request.plans)]
        if len(chosen) < len(request.plans):
            raise InputError(
                f"{request.made[0].parent}: found {len(asked)} networks for zoo {request.zoo!r}, expected "
                f"{request.first + len(request.plans)}; lower sampling.samples"
            )
        failed = {
            name: _without_values(array) for name, array in expected_state(request.architecture).items()
        }
        states = [failed if path is None else load_state(path) for path in chosen]
        networks = StackedNetworks.stack(states, np.stack)
        return MadeNetworks(networks.tensors(), 0, [{"file": str(path)} for path in chosen])


def _asked_for(zoo: str, manifests: Sequence[Path]) -> Iterator[Path | None]:
    """Yield the files of the networks that were requested for a zoo, None for failed ones."""
    for manifest in map(Manifest.read, manifests):
        records = {record.name: record for record in manifest.networks}
        for name, asked in manifest.facts.get(ZOOS, {}).items():
            if asked == zoo:
                yield manifest.verified_file(records[name]) if name in records else None


def _without_values(array: np.ndarray) -> np.ndarray:
    return np.full_like(array, np.nan) if array.dtype.kind == "f" else array
