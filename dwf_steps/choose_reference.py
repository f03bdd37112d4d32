"""Choose the network that a canonicalization aligns to, and that distances are measured from."""

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

BLOCK_BYTES = 2**28  # the size of a column block of all networks' weights


def medoid(paths: list[Path]) -> int:
    """Find the network with the smallest mean Euclidean distance to the others, without any alignment.

    Weights are compared in column blocks, so that only one block of all networks is in memory.

    Parameters
    ----------
    paths
        The networks' safetensors files.

    Returns
    -------
    The network's position in ``paths``.
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
    """Copy the chosen training network into a shard of its own.

    Parameters
    ----------
    settings
        The reference's name, or ``medoid``; and how many of the last trajectories are held out.
    manifests
        The zoo's manifests, ``shard-{k}.json``.
    output
        The folder ``reference/``.
    manifest
        Its manifest, ``reference.json``.

    Raises
    ------
    InputError
        If there is no training network of that name, or its file has changed since it was written.
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
            f"reference {name!r} is not a training network; expected one of "
            f"{', '.join(list(candidates)[:10])}"
        )
    shard, record = candidates[name]
    source = shard.verified_file(record)
    with replacing(output) as partial:
        partial.mkdir()
        shutil.copyfile(source, partial / source.name)
    Manifest(manifest, (Record(record.name, record.sha256),)).write()


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "output", "manifest", several=["manifests"])
    args = options.parse_args()
    settings = parse_settings(ChooseReference, args.settings)
    choose_reference(settings, args.manifests, args.output, args.manifest)


if __name__ == "__main__":
    run(main)
