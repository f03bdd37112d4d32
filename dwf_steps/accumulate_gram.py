"""Accumulate the Gram matrix of the centred rows in one pass over the weight matrix."""

from pathlib import Path

import numpy as np

from dwf_steps.step import parser, run
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.gram import centred_gram


def accumulate_gram(weights: Path, output: Path) -> None:
    """Write ``gram`` (n, n) float64 and ``n_training``: the first rows, by whose mean all are centred."""
    matrix = WeightMatrix.open(weights)
    gram = centred_gram(matrix)
    with replacing(output) as partial, partial.open("wb") as file:
        np.savez(file, gram=gram, n_training=matrix.n_training)


def main() -> None:
    args = parser(__doc__, "weights", "output", settings=False).parse_args()
    accumulate_gram(args.weights, args.output)


if __name__ == "__main__":
    run(main)
