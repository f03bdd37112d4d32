"""The generator `gaussian`: a Gaussian in the subspace."""

from dwf_steps.config.generators.gaussian import GaussianConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.mixtures import like_covariance
from dwf_steps.generators.samples import Samples


class Gaussian(Generator[GaussianConfig]):
    """Draws from N(mean, scale^2 covariance) of the training networks' coordinates."""

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        deviations = like_covariance(training.basis, self.config.sampling.samples, self.draws())
        return Samples.from_latents(self.config.scale * deviations, training.basis)
