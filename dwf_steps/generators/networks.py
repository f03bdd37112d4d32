"""Networks that another tool made."""

import numpy as np

from dwf_steps.config.generators.networks import NetworksConfig
from dwf_steps.datasets.splits import Split
from dwf_steps.generators.network_maker import MadeNetworks, NetworkMaker, Request
from dwf_steps.generators.samples import sample_names
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import sha256
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.zoo.canonicalizing import canonicalized, read_goal
from dwf_steps.zoo.importing import expected_state, import_networks, usable


class Networks(NetworkMaker[NetworksConfig]):
    """Reads networks from the files that match, and records each one's file and its digest. Networks with
    weights that nothing can be computed with are left as they are."""

    def make(self, request: Request) -> MadeNetworks:
        paths = self.config.paths[request.first : request.first + len(request.plans)]
        networks = import_networks(
            paths,
            expected_state(request.architecture),
            self.config.keys,
            request.architecture.tied,
            generated=True,
        )
        if self.config.aligned:
            networks = self._aligned(networks, request)
        facts = [{"file": str(path), "file_sha256": sha256(path)} for path in paths]
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
