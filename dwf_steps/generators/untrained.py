"""The generator `untrained`: networks some of whose layers are untrained."""

import numpy as np
import torch

from dwf_steps.config.generators.untrained import UntrainedConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.layers import architecture_of, first_layer, in_layers
from dwf_steps.generators.mixtures import like_covariance, mixture, one_hot
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks


class Untrained(Generator[UntrainedConfig]):
    """Gives some layers the coordinates of untrained networks.

    The other layers are those of a Gaussian draw or of a training network.
    """

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        matrix, config = training.matrix, self.config
        names = (first_layer(training.architecture),) if config.layers == "first" else config.layers
        untrained = in_layers(matrix.layout, names)
        drawn, offsets = self._others(training), training.encode(self._initial(training))
        for columns in matrix.column_blocks():
            inside = untrained[columns]
            offsets[:, columns][:, ~inside] = 0
            if inside.any():
                offsets[:, columns][:, inside] -= decode_block(drawn, matrix, columns, np.float64)[:, inside]
        return Samples(drawn.latents, drawn.coefficients, offsets)

    def _others(self, training: TrainingNetworks) -> Samples:
        """Return the samples that the other layers are taken from."""
        basis, k, draws = training.basis, self.config.sampling.samples, self.draws()
        if self.config.others == "copy":
            return mixture(basis, one_hot(draws.integers(basis.n_training, size=k), basis.n_training))
        return Samples.from_latents(self.config.scale * like_covariance(basis, k, draws), basis)

    def _initial(self, training: TrainingNetworks) -> StackedNetworks[np.ndarray]:
        architecture, sampling = architecture_of(training.architecture), self.config.sampling
        networks = [
            architecture.initial_state(
                self.config.initialisation, torch_generator("untrained layers", sampling.seed, i)
            )
            for i in range(sampling.samples)
        ]
        return StackedNetworks.stack(networks, torch.stack).numpy()
