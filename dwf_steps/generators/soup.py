"""The generator `soup`: means of training networks."""

import numpy as np

from dwf_steps.config.generators.soup import SoupConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.mixtures import mixture
from dwf_steps.generators.samples import Samples


class Soup(Generator[SoupConfig]):
    """Draws the mean of randomly chosen training networks (Wortsman et al. 2022, arXiv 2203.05482)."""

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        n, draws = training.basis.n_training, self.draws()
        mixing = np.zeros((self.config.sampling.samples, n))
        for row in mixing:
            row[draws.permutation(n)[: self.config.networks]] = 1 / self.config.networks
        return mixture(training.basis, mixing)
