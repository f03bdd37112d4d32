"""The generator `parameter_gaussian`: an independent Gaussian for each weight."""

import numpy as np

from dwf_steps.config.generators.parameter_gaussian import ParameterGaussianConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.mixtures import no_offsets
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.randomness import derive_seed


class ParameterGaussian(Generator[ParameterGaussianConfig]):
    """Draws each weight from N(mean, (scale std)^2), with its mean and std over the training networks.

    The baseline of Zeng et al. (2025).
    """

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        basis, k = training.basis, self.config.sampling.samples
        noise_seed = derive_seed("per-parameter noise", self.config.sampling.seed)
        latents, coefficients = np.zeros((k, basis.dimension)), np.zeros((k, basis.n_training))
        return Samples(latents, coefficients, no_offsets(k), self.config.scale, noise_seed, True)
