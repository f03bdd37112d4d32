"""The generator `bootstrap`: networks assembled from parts of training networks."""

import numpy as np

from dwf_steps.config.generators.bootstrap import BootstrapConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.layers import by_layer, by_unit, first_layer, in_layers
from dwf_steps.generators.samples import Samples


class Bootstrap(Generator[BootstrapConfig]):
    """Takes each part of a network from a randomly drawn training network.

    Within a network, no training network is used twice before all have been used once.
    """

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        n, k, draws = training.basis.n_training, self.config.sampling.samples, self.draws()
        parts, matrix = self._parts(training), training.matrix
        sources = np.stack([_shuffled(draws, n, parts.max() + 1) for _ in range(k)])
        offsets = np.empty((k, matrix.layout.size), np.float32)
        for columns in matrix.column_blocks():
            rows = matrix.read(columns)[:n]
            mean, places = rows.mean(axis=0, dtype=np.float64), np.arange(rows.shape[1])
            for offset, source in zip(offsets, sources, strict=True):
                offset[columns] = rows[source[parts[columns]], places] - mean
        return Samples(np.empty((k, 0)), np.zeros((k, n)), offsets)

    def _parts(self, training: TrainingNetworks) -> np.ndarray:
        """Return the index of the part that each column belongs to, (d,)."""
        match self.config.by:
            case "layer":
                return by_layer(training.layout)
            case "unit":
                return by_unit(training.layout)
            case "first_layer":
                return 1 - in_layers(training.layout, [first_layer(training.architecture)]).astype(np.intp)


def _shuffled(draws: np.random.Generator, n: int, count: int) -> np.ndarray:
    """Return ``count`` indices of n networks, (count,): consecutive random permutations of all."""
    return np.concatenate([draws.permutation(n) for _ in range(-(-count // n))])[:count]
