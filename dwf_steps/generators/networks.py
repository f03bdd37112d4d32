"""The generator `networks`: networks made by another tool."""

import numpy as np

from dwf_steps.config.generators.networks import NetworksConfig
from dwf_steps.config.imported_networks import files_in_order
from dwf_steps.datasets.splits import Split
from dwf_steps.generators.network_maker import MadeNetworks, NetworkMaker, Request
from dwf_steps.generators.samples import sample_names
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.foreign import network_sha256
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.zoo.canonicalizing import canonicalized, read_goal
from dwf_steps.zoo.importing import read_networks, usable


class Networks(NetworkMaker[NetworksConfig]):
    """Reads networks from matching files, and records each one's file and digest.

    Networks with unusable weights, not finite or too large, are kept unchanged.
    """

    def make(self, request: Request) -> MadeNetworks:
        found = self.config.found[request.first : request.first + len(request.plans)]
        networks = read_networks(found, request.architecture, self.config.contents, generated=True)
        if self.config.aligned:
            networks = self._aligned(networks, request)
        digests = {path: network_sha256(path) for path in files_in_order(found)}
        facts = [{"file": one.where, "file_sha256": digests[one.path]} for one in found]
        return MadeNetworks(networks.tensors(), 0, facts)

    def _aligned(
        self, networks: StackedNetworks[np.ndarray], request: Request
    ) -> StackedNetworks[np.ndarray]:
        if request.reference is None:
            raise InputError("--reference is missing; the generator's settings say that networks are aligned")
        rows = np.flatnonzero(usable(networks))
        if not len(rows):
            return networks
        names = sample_names(networks.count, request.first)
        aligned = canonicalized(
            request.architecture,
            [names[row] for row in rows],
            networks.select(rows),
            request.methods,
            read_goal(request.reference),
            Split.load(request.tools.data, "train"),
            read_goal(request.barycentre) if request.barycentre else None,
        )
        result = networks.map(np.copy)
        for name, array in aligned.networks.items():
            result[name][rows] = array
        return result
