"""The generator `random_init`: untrained networks."""

from dwf_steps.config.generators.random_init import RandomInitConfig
from dwf_steps.generators.network_maker import MadeNetworks, NetworkMaker, Request
from dwf_steps.zoo.training import initial_networks


class RandomInit(NetworkMaker[RandomInitConfig]):
    """Initialises networks as the zoo's were, without training them."""

    def make(self, request: Request) -> MadeNetworks:
        return MadeNetworks(initial_networks(request.architecture, list(request.plans)), 0)
