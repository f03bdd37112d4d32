"""Decode samples into complete networks: one matrix, and one safetensors file a network."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.samples import Samples
from dwf_steps.step import parser, run
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.manifest import Network, unstack, write_shard
from dwf_steps.storage.matrix import Row, WeightMatrix

ROWS_BYTES = 2**30  # of decoded rows held at a time while files are written

logger = logging.getLogger(__name__)


def decode(samples: Path, weights: Path, generated: Path, output: Path, manifest: Path) -> None:
    """Write ``generated`` (k, d) and the networks' files.

    A sample whose weights are not finite stays in the matrix, where evaluation counts it as failed, and
    gets no file.
    """
    drawn, matrix = Samples.load(samples), WeightMatrix.open(weights)
    rows = [Row(f"sample-{i}") for i in range(len(drawn.coefficients))]
    with replacing(generated) as partial:
        decoded = WeightMatrix.create(partial, matrix.layout, rows, matrix.architecture)
        for columns in matrix.column_blocks():
            decoded.array[:, columns] = decode_block(drawn, matrix, columns)
    write_shard(output, manifest, _finite_networks(WeightMatrix.open(generated)), matrix.architecture)


def _finite_networks(decoded: WeightMatrix) -> Iterator[Network]:
    k, d = decoded.array.shape
    group = max(1, ROWS_BYTES // (d * decoded.array.dtype.itemsize))
    for start in range(0, k, group):
        block = np.asarray(decoded.array[start : start + group])
        finite = np.isfinite(block).all(axis=1)
        for i in np.flatnonzero(~finite):
            logger.warning("%s failed: its weights are not finite", decoded.rows[start + i].name)
        names = [decoded.rows[start + i].name for i in np.flatnonzero(finite)]
        yield from unstack(names, decoded.layout.unflatten(block[finite]))


def main() -> None:
    args = parser(
        __doc__, "samples", "weights", "generated", "output", "manifest", settings=False
    ).parse_args()
    decode(args.samples, args.weights, args.generated, args.output, args.manifest)


if __name__ == "__main__":
    run(main)
