"""The generator `copy`: training networks themselves."""

import numpy as np

from dwf_steps.config.generators.copy import CopyConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.mixtures import mixture, one_hot
from dwf_steps.generators.samples import Samples


class Copy(Generator[CopyConfig]):
    """Draws training networks; each is drawn once before any is drawn again."""

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        n, k, draws = training.basis.n_training, self.config.sampling.samples, self.draws()
        rounds = [draws.permutation(n) for _ in range(-(-k // n))]
        return mixture(training.basis, one_hot(np.concatenate(rounds)[:k], n))
