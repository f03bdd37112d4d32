"""The generator `kernel_density`: a kernel density estimate in the subspace."""

from dwf_steps.config.generators.kernel_density import KernelDensityConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.mixtures import kernel_mixing
from dwf_steps.generators.samples import Samples


class KernelDensity(Generator[KernelDensityConfig]):
    """Draws z_i + h e for a training network's coordinates z_i and e with the training covariance.

    The kernel density estimate of Scott (1992, chapter 6), by default with its bandwidth h = n^(-1 / (k +
    4)). As in `scipy.stats.gaussian_kde`, the samples' covariance exceeds that of the training networks by a
    factor 1 + h^2.
    """

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        basis, k, draws, h = training.basis, self.config.sampling.samples, self.draws(), self.config.bandwidth
        n = basis.n_training
        h = n ** (-1 / (basis.dimension + 4)) if h is None else h
        return Samples.from_latents(basis.points(kernel_mixing(n, k, h, draws)), basis)
