"""The generator `held_out`: held-out networks themselves."""

from dwf_steps.config.generators.held_out import HeldOutConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.mixtures import no_offsets, one_hot
from dwf_steps.generators.samples import Samples
from dwf_steps.storage.arrays import evenly


class HeldOut(Generator[HeldOutConfig]):
    """Returns evenly spaced held-out networks, so that every trajectory contributes checkpoints."""

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        basis, k = training.basis, self.config.sampling.samples
        n, h = basis.n_training, len(basis.held_out_coordinates)
        rows = evenly(k, h)
        return Samples(basis.held_out_coordinates[rows], one_hot(n + rows, n + h), no_offsets(k))
