"""Find a subspace of weight space from the Gram matrix."""

import logging
from pathlib import Path

import numpy as np

from dwf_steps.config.section import Section
from dwf_steps.config.subspace import DualPCA, IncrementalPCA, SubspaceConfig
from dwf_steps.step import parse_settings, parser, run
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis, dual_pca, raw_basis

logger = logging.getLogger(__name__)


class SolveBasisSettings(Section):
    """Which subspace."""

    subspace: SubspaceConfig


def solve_basis(settings: SolveBasisSettings, gram: Path, weights: Path, output: Path) -> None:
    """Write the basis; the matrix itself is read by IncrementalPCA alone."""
    with np.load(gram) as stored:
        matrix, n_training = stored["gram"], int(stored["n_training"])
    basis = _solve(settings.subspace, matrix, n_training, weights)
    basis.save(output)
    kept = basis.explained_variance_ratio.sum()
    logger.info("%d components, %.4f of the variance", basis.coordinates.shape[1], kept)


def _solve(subspace: SubspaceConfig, gram: np.ndarray, n_training: int, weights: Path) -> Basis:
    match subspace:
        case DualPCA():
            return dual_pca(gram, n_training, subspace.components, subspace.variance)
        case IncrementalPCA():
            # Imported here: scikit-learn takes a second that the other methods need not pay.
            from dwf_steps.subspace.incremental import incremental_pca

            rows = WeightMatrix.open(weights).read()
            return incremental_pca(rows, gram, n_training, subspace.components, subspace.batch_size)
        case _:
            return raw_basis(gram, n_training)


def main() -> None:
    args = parser(__doc__, "gram", "weights", "output").parse_args()
    solve_basis(parse_settings(SolveBasisSettings, args.settings), args.gram, args.weights, args.output)


if __name__ == "__main__":
    run(main)
