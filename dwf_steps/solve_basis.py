"""Find a subspace of weight space from the Gram matrix."""

import logging
from pathlib import Path

from dwf_steps.config.subspace import DualPCA, IncrementalPCA, SubspaceConfig
from dwf_steps.pipeline.settings.subspace import SolveBasis
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis, raw_basis
from dwf_steps.subspace.dual_pca import dual_pca
from dwf_steps.subspace.gram import GramMatrix, read_gram

logger = logging.getLogger(__name__)


def solve_basis(settings: SolveBasis, gram: list[Path], weights: Path, output: Path) -> None:
    """Write the basis of a subspace, computed from the Gram matrix.

    Parameters
    ----------
    settings
        The kind of subspace and its number of components.
    gram
        The parts of the Gram matrix, ``gram/part-{k}.npz``.
    weights
        The matrix itself; only IncrementalPCA reads it.
    output
        ``basis.npz``, a `Basis`.

    Raises
    ------
    InputError
        If a part is damaged or missing.
    """
    basis = _solve(settings.subspace, read_gram(gram), weights)
    basis.save(output)
    kept = basis.explained_variance_ratio.sum()
    logger.info("%d components, %.4f of the variance", basis.coordinates.shape[1], kept)


def _solve(subspace: SubspaceConfig, gram: GramMatrix, weights: Path) -> Basis:
    match subspace:
        case DualPCA():
            return dual_pca(
                gram.products,
                gram.n_training,
                subspace.components,
                subspace.variance,
                subspace.solver,
                gram.rounding,
            )
        case IncrementalPCA():
            # Imported here: other methods do not need scikit-learn, whose import takes a second.
            from dwf_steps.subspace.incremental import incremental_pca

            rows = WeightMatrix.open(weights).read()
            return incremental_pca(
                rows, gram.products, gram.n_training, subspace.components, subspace.batch_size
            )
        case _:
            return raw_basis(gram.products, gram.n_training)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "weights", "output", several=["gram"])
    args = options.parse_args()
    solve_basis(parse_settings(SolveBasis, args.settings), args.gram, args.weights, args.output)


if __name__ == "__main__":
    run(main)
