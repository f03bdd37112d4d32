"""The generator `retrained`: networks trained from scratch."""

import logging

import numpy as np

from dwf_steps.config.generators.retrained import RetrainedConfig
from dwf_steps.generators.network_maker import MadeNetworks, NetworkMaker, Request
from dwf_steps.zoo.training import batches_per_epoch, train_networks

logger = logging.getLogger(__name__)


class Retrained(NetworkMaker[RetrainedConfig]):
    """Trains networks with the zoo's settings, for a number of epochs or at another generator's cost.

    At equal cost, training takes as long per network as sampling from that generator.
    """

    def make(self, request: Request) -> MadeNetworks:
        training, steps = request.whole_training, self._steps(request)
        logger.info("training %d networks for %d steps", len(request.plans), steps)
        trained = train_networks(
            request.architecture,
            request.dataset,
            list(request.plans),
            training,
            request.tools.device,
            request.tools.checkpoint,
            steps,
        )
        return MadeNetworks(trained.networks, steps)

    def _steps(self, request: Request) -> int:
        """Return the number of training steps; at equal cost, from 1 to that of the whole training."""
        epoch = batches_per_epoch(request.architecture, request.dataset, request.whole_training)
        if self.config.epochs is not None:
            return round(self.config.epochs * epoch)
        if request.cost is None or request.epochs is None:
            raise ValueError("the cost to be equalled is missing")
        whole = round(request.epochs * epoch)
        return int(np.clip(round(whole * request.cost), 1, whole))
