"""Find the zoo's nearest neighbours in a representation, which all its generators are compared with."""

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
    gram
        The parts of the Gram matrix of ``matrix``.
    """
    trajectories = WeightMatrix.open(matrix).trajectories
    save_record(output, Neighbours.of(read_gram(gram), trajectories, settings.seed))


def main() -> None:
    args = parser(__doc__, "matrix", "output", several=["gram"]).parse_args()
    settings = parse_settings(FindNeighbours, args.settings)
    find_neighbours(settings, args.gram, args.matrix, args.output)


if __name__ == "__main__":
    run(main)
