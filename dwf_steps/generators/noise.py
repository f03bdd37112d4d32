"""The generator `noise`: perturbed training networks."""

from dataclasses import replace

from dwf_steps.config.generators.noise import NoiseConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.mixtures import mixture, one_hot
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.randomness import derive_seed


class Noise(Generator[NoiseConfig]):
    """Draws a + std e: a random training network plus isotropic noise in weight space.

    The baseline of Zeng et al. (2025).
    """

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        n, draws, sampling = training.basis.n_training, self.draws(), self.config.sampling
        copies = mixture(training.basis, one_hot(draws.integers(n, size=sampling.samples), n))
        noise_seed = derive_seed("isotropic noise", sampling.seed)
        return replace(copies, noise_std=self.config.std, noise_seed=noise_seed)
