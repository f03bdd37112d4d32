"""Accumulate the Gram matrix of the centred rows over one range of the weight matrix's columns."""

from pathlib import Path

from dwf_steps.pipeline.settings.subspace import AccumulateGram
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.gram import accumulate


def accumulate_gram(settings: AccumulateGram, weights: Path, output: Path, threads: int = 1) -> None:
    """Write the Gram matrix of the centred rows over one range of columns, as `GramMatrix`.

    Parameters
    ----------
    settings
        Which part of the columns, and how many parts there are.
    weights
        The matrix, of weights or of other coordinates.
    output
        ``gram/part-{k}.npz``.
    threads
        Column blocks that are multiplied at a time.
    """
    accumulate(WeightMatrix.open(weights), settings.part, settings.parts, threads).save(output)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "weights", "output")
    options.add_argument("--threads", type=int, default=1)
    args = options.parse_args()
    settings = parse_settings(AccumulateGram, args.settings)
    accumulate_gram(settings, args.weights, args.output, args.threads)


if __name__ == "__main__":
    run(main)
