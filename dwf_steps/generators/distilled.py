"""Networks trained from scratch on a few training inputs."""

import logging
from dataclasses import replace

import numpy as np

from dwf_steps.config.generators.distilled import DistilledConfig
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.generators.network_maker import MadeNetworks, NetworkMaker, Request
from dwf_steps.metrics.scores import summed_answers
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.networks import network_groups
from dwf_steps.tasks import task_of
from dwf_steps.zoo.training import train_networks

logger = logging.getLogger(__name__)


class Distilled(NetworkMaker[DistilledConfig]):
    """Trains networks on the probes, towards the mean prediction of the zoo's training networks (Hinton et
    al. 2015, arXiv 1503.02531, at temperature 1) or towards the labels."""

    def make(self, request: Request) -> MadeNetworks:
        config = self.config
        probes = choose_probes(request.dataset.train, config.probes, config.seed)
        answers = mean_answers(request, probes) if config.targets == "zoo" else None
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


def mean_answers(request: Request, probes: Split) -> np.ndarray:
    """Return the mean over the training networks of their predictions for m probes, (m, c) float32:
    probabilities, or numbers.

    As many networks as fit are in memory at a time; held-out ones are not read.

    Raises
    ------
    InputError
        If a prediction is not finite.
    """
    matrix, architecture = request.matrix, request.architecture
    task = task_of(probes.task, probes.tolerance, probes.scale)
    total = np.zeros((len(probes), architecture.config.classes))
    groups = network_groups(range(matrix.n_training), architecture.layout.size)
    for group in progress(groups, "group of networks"):
        networks = matrix.networks(group).tensors(request.tools.device)
        total += summed_answers(architecture, networks, probes.inputs, task)
    if not (finite := np.isfinite(total).all(axis=1)).all():
        raise InputError(
            f"{matrix.path}: the training networks' mean prediction is not finite for {(~finite).sum()} of "
            f"{len(probes)} probes; expected numbers. Remove or retrain the networks that overflow"
        )
    mean: np.ndarray = (total / matrix.n_training).astype(np.float32)
    return mean
