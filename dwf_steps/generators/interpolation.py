"""The generator `interpolation`: points between two training networks."""

import numpy as np

from dwf_steps.config.generators.interpolation import InterpolationConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.mixtures import mixture
from dwf_steps.generators.samples import Samples


class Interpolation(Generator[InterpolationConfig]):
    """Draws (1 - w) a + w b for random pairs of different training networks a and b."""

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        n, k, draws = training.basis.n_training, self.config.sampling.samples, self.draws()
        first = draws.integers(n, size=k)
        second = (first + draws.integers(1, n, size=k)) % n
        mixing = np.zeros((k, n))
        mixing[np.arange(k), first] += 1 - self.config.weight
        mixing[np.arange(k), second] += self.config.weight
        return mixture(training.basis, mixing)
