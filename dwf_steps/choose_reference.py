"""Choose the network that a canonicalization aligns to and that distances are reported to."""

import shutil
from pathlib import Path

import numpy as np

from dwf_steps.pipeline.settings.canonicalize import ChooseReference
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.manifest import Manifest, Record, last_trajectories
from dwf_steps.storage.networks import describe, read_columns
from dwf_steps.subspace.gram import distances_among, rough_gram

BLOCK_BYTES = 2**28  # of all networks' weights that are compared at a time


def medoid(paths: list[Path]) -> int:
    """Return which network has the smallest mean Euclidean distance to the others, as they are.

    Networks are compared column block by column block, so that no more than a block of all is in memory.
    """
    layout = describe(paths[0]).layout
    gram = np.zeros((len(paths), len(paths)))
    width = max(1, BLOCK_BYTES // (4 * len(paths)))
    for start in progress(range(0, layout.size, width), "column block"):
        columns = slice(start, min(start + width, layout.size))
        block = np.stack([read_columns(path, layout, columns) for path in paths])
        gram += rough_gram(block, len(paths), np.dtype(np.float64))
    return int(distances_among(gram).sum(axis=1).argmin())


def choose_reference(settings: ChooseReference, manifests: list[Path], output: Path, manifest: Path) -> None:
    """Copy the chosen training network into ``output``, a shard of its own.

    Raises
    ------
    InputError
        If there is no training network of that name, or its file changed after it was written.
    """
    shards = [Manifest.read(path) for path in manifests]
    held_out = last_trajectories(shards, settings.held_out)
    candidates = {
        record.name: (shard, record)
        for shard in shards
        for record in shard.networks
        if record.trajectory not in held_out
    }
    name = settings.reference
    if name == "medoid":
        name = list(candidates)[medoid([shard.file(record) for shard, record in candidates.values()])]
    if name not in candidates:
        raise InputError(
            f"reference {name!r} is no training network; expected one of {', '.join(list(candidates)[:10])}"
        )
    shard, record = candidates[name]
    source = shard.verified_file(record)
    with replacing(output) as partial:
        partial.mkdir()
        shutil.copyfile(source, partial / source.name)
    Manifest(manifest, (Record(record.name, record.sha256),)).write()


def main() -> None:
    options = parser(__doc__, "output", "manifest", several=["manifests"])
    args = options.parse_args()
    settings = parse_settings(ChooseReference, args.settings)
    choose_reference(settings, args.manifests, args.output, args.manifest)


if __name__ == "__main__":
    run(main)
