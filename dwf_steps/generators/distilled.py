"""The generator `distilled`: networks trained from scratch on a few training inputs."""

import logging
from dataclasses import replace

from dwf_steps.config.generators.distilled import DistilledConfig
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.generators.network_maker import MadeNetworks, NetworkMaker, Request
from dwf_steps.metrics.scores import mean_answers
from dwf_steps.zoo.training import train_networks

logger = logging.getLogger(__name__)


class Distilled(NetworkMaker[DistilledConfig]):
    """Trains networks on the probes, towards the zoo's mean prediction or the labels.

    The zoo's mean prediction is that of its training networks (Hinton et al. 2015, arXiv 1503.02531, at
    temperature 1).
    """

    def make(self, request: Request) -> MadeNetworks:
        config = self.config
        probes = choose_probes(request.dataset.train, config.probes, config.seed)
        answers = None
        if config.targets == "zoo":
            answers = mean_answers(request.architecture, request.matrix, probes, request.tools.device)
        steps = config.training.steps
        logger.info("training %d networks for %d steps on %d probes", len(request.plans), steps, len(probes))
        trained = train_networks(
            request.architecture,
            replace(request.dataset, train=probes),
            list(request.plans),
            config.training.as_training,
            request.tools.device,
            request.tools.checkpoint,
            steps,
            answers=answers,
        )
        return MadeNetworks(trained.networks, steps)
