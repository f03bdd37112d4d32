"""Find the zoo's nearest neighbours in a representation, as the baseline for its generators."""

from pathlib import Path

from dwf_steps.metrics.neighbours import Neighbours
from dwf_steps.pipeline.settings.evaluate import FindNeighbours
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.storage.arrays import save_record
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.gram import read_gram


def find_neighbours(settings: FindNeighbours, gram: list[Path], matrix: Path, output: Path) -> None:
    """Write the `Neighbours` of all networks, in the order of the matrix.

    Parameters
    ----------
    settings
        The seed of the clustering into cells.
    gram
        The parts of the Gram matrix of ``matrix``, ``gram/part-{k}.npz``.
    matrix
        All networks in the representation.
    output
        ``neighbours.npz``.

    Raises
    ------
    InputError
        If a part is damaged or missing.
    """
    trajectories = WeightMatrix.open(matrix).trajectories
    save_record(output, Neighbours.of(read_gram(gram), trajectories, settings.seed))


def main() -> None:
    """Run the step with the arguments of the command line."""
    args = parser(__doc__, "matrix", "output", several=["gram"]).parse_args()
    settings = parse_settings(FindNeighbours, args.settings)
    find_neighbours(settings, args.gram, args.matrix, args.output)


if __name__ == "__main__":
    run(main)
