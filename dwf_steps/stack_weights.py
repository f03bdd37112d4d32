"""Stack canonical networks into the weight matrix, column block by column block."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dwf_steps.pipeline.settings.subspace import StackWeights
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.magnitude import excess
from dwf_steps.storage.manifest import Manifest, last_trajectories, require_distinct
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.networks import describe, read_columns, stack_arrays
from dwf_steps.storage.precision import RelativeError
from dwf_steps.storage.row_facts import write_facts
from dwf_steps.subspace.storing import store

logger = logging.getLogger(__name__)


def stack_weights(
    settings: StackWeights,
    manifests: list[Path],
    output: Path,
    distinct: Sequence[Path] = (),
    zoo: Sequence[Path] = (),
) -> None:
    """Write the matrix (n, d): training networks first, then held-out networks.

    One column block of all rows, a shard, is in memory at a time, within a budget of ``settings.memory_mb``.

    Parameters
    ----------
    settings
        How many of the last trajectories are held out, and how the matrix is stored.
    manifests
        Manifests of the canonical networks, ``aligned/shard-{k}.json``.
    output
        ``weights.zarr``, with the networks' buffers.
    distinct
        Manifests of imported networks before canonicalization, among which duplicates are refused.
    zoo
        The zoo's manifests, which state the networks' scores.

    Raises
    ------
    InputError
        If a file has changed since it was written, a weight is not finite or too large, or a network was
        imported twice.
    """
    files: dict[Row, Path] = {}
    require_distinct([Manifest.read(path) for path in distinct])
    shards = [Manifest.read(path) for path in manifests]
    last = last_trajectories(shards, settings.held_out)
    for shard in shards:
        for record, path in zip(shard.networks, shard.verified_files(), strict=True):
            held_out = record.trajectory in last
            files[Row(record.name, record.sha256, held_out, record.trajectory)] = path
    rows = sorted(files, key=lambda row: row.held_out)
    first = describe(files[rows[0]])
    layout, buffers = first.layout, stack_arrays([files[row] for row in rows], first.buffers)
    for name, array in buffers.items():
        if not (finite := np.isfinite(array).reshape(len(rows), -1).all(axis=1)).all():
            raise InputError(
                f"{files[rows[int(np.argmin(finite))]]}: {name} has values that are not finite. Remove or "
                "retrain this network"
            )
    with replacing(output) as partial:
        matrix = WeightMatrix.create(
            partial,
            layout,
            rows,
            first.architecture,
            settings.dtype,
            settings.memory_mb,
            buffers,
        )
        error = RelativeError()
        for columns in progress(list(matrix.write_blocks()), "column block"):
            block = np.empty((len(rows), columns.stop - columns.start), np.float32)
            for i, row in enumerate(rows):
                block[i] = read_columns(files[row], layout, columns)
            if not np.isfinite(block).all():
                row, column = np.argwhere(~np.isfinite(block))[0]
                raise InputError(
                    f"{files[rows[row]]}: weight {columns.start + column} is {block[row, column]}; every "
                    "weight must be finite. Remove or retrain this network"
                )
            if too_large := excess(block):
                largest, column = divmod(int(np.abs(block).argmax()), block.shape[1])
                raise InputError(
                    f"{files[rows[largest]]}: {_name_of(layout, columns.start + column)} {too_large}. Remove "
                    "or retrain this network"
                )
            store(matrix, columns, block, error)
        matrix.set_storage_error(error.relative)
        write_facts(matrix, {record.name: record for path in zoo for record in Manifest.read(path).networks})
    logger.info("stacked %d networks of %d weights", len(rows), layout.size)


def _name_of(layout: Layout, column: int) -> str:
    """Return the name of the parameter that a column of the matrix belongs to."""
    return next(entry.name for entry in layout.entries if column < entry.offset + entry.size)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "output", several=["manifests", "distinct", "zoo"])
    args = options.parse_args()
    settings = parse_settings(StackWeights, args.settings)
    stack_weights(settings, args.manifests, args.output, args.distinct, args.zoo)


if __name__ == "__main__":
    run(main)
