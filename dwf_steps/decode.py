"""Decode samples into complete networks in one pass over the weight matrix."""

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from dwf_steps.generators.decoding import (
    compare_with_float64,
    compared_blocks,
    decode_block,
    decode_buffers,
)
from dwf_steps.generators.samples import Samples
from dwf_steps.pipeline.settings.generate import Decode
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.manifest import Manifest, Record
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import NetworkFile
from dwf_steps.storage.padding import Variant, variants_of
from dwf_steps.storage.precision import RelativeError

logger = logging.getLogger(__name__)


def decode(
    settings: Decode, samples: Path, weights: Path, output: Path, manifest: Path, threads: int = 1
) -> None:
    """Write one shard of networks, all at a time, column block by column block.

    Products are computed in float32; some blocks are also decoded in float64, and the manifest states the
    relative difference, ``decoding_error``. A sample whose weights are not finite gets no file and is listed
    as failed. A sample of a zoo with narrower networks is written in their architecture.

    Parameters
    ----------
    settings
        Which part of the samples, of how many parts; and the memory budget in MiB.
    samples
        ``latents.npz``, all samples of the generator.
    weights
        The weight matrix of the training networks.
    output
        The folder for the networks, ``sample-{i}.safetensors``.
    manifest
        Their manifest.
    threads
        Column blocks that are decoded at a time.
    """
    drawn, matrix = Samples.load(samples).part(settings.part, settings.parts), WeightMatrix.open(weights)
    kinds, numbers = variants_of(matrix, drawn.asked)
    variants = [kinds[number] for number in numbers]
    compared = compared_blocks(matrix)
    groups = matrix.chunk_groups(len(drawn), settings.memory_mb * 2**20 // 2)
    error, finite = RelativeError(), np.ones(len(drawn), bool)
    with replacing(output) as folder, threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        folder.mkdir()
        buffers = decode_buffers(drawn, matrix)
        files = [
            NetworkFile(
                folder / f"{name}.safetensors",
                one.padding.own,
                one.architecture,
                one.cut_buffers(buffers.network(i)),
            )
            for i, (name, one) in enumerate(zip(drawn.names, variants, strict=True))
        ]
        for group in progress(groups, "group of column blocks"):
            blocks = list(pool.map(partial(decode_block, drawn, matrix), group))
            for columns, block in zip(group, blocks, strict=True):
                finite &= np.isfinite(block).all(axis=1)
                if columns.start in compared:
                    compare_with_float64(error, drawn, matrix, columns, block)
            list(pool.map(partial(_append, group), files, variants, zip(*blocks, strict=True)))
        for i in np.flatnonzero(~finite):
            logger.warning("%s failed: its weights are not finite", drawn.names[i])
            files[i].path.unlink()
    written = [file for file, whole in zip(files, finite, strict=True) if whole]
    Manifest(
        manifest,
        tuple(Record(file.path.stem, file.digest.hexdigest()) for file in written),
        tuple(name for name, whole in zip(drawn.names, finite, strict=True) if not whole),
        {
            "stored_as": str(matrix.array.dtype),
            "storage_error": matrix.storage_error,
            "decoding_error": error.relative,
            **drawn.facts,
        },
    ).write()


def _append(blocks: list[slice], file: NetworkFile, variant: Variant, parts: tuple[np.ndarray, ...]) -> None:
    file.append(*(variant.padding.cut(part, block) for block, part in zip(blocks, parts, strict=True)))


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "samples", "weights", "output", "manifest")
    options.add_argument("--threads", type=int, default=1)
    args = options.parse_args()
    settings = parse_settings(Decode, args.settings)
    decode(settings, args.samples, args.weights, args.output, args.manifest, args.threads)


if __name__ == "__main__":
    run(main)
