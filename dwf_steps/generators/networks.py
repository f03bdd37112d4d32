"""Networks that another tool made."""

from dwf_steps.config.generators.networks import NetworksConfig
from dwf_steps.generators.aligning import aligned_as_zoo
from dwf_steps.generators.network_maker import MadeNetworks, NetworkMaker, Request
from dwf_steps.storage.manifest import sha256
from dwf_steps.zoo.importing import expected_state, import_networks


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
            networks = aligned_as_zoo(networks, request)
        facts = [{"file": str(path), "file_sha256": sha256(path)} for path in paths]
        return MadeNetworks(networks.tensors(), 0, facts)
