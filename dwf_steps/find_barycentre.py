"""Find the barycentre of the training networks: their mean after alignment to this mean."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dwf_steps.architectures import build
from dwf_steps.config.canonicalization import ActivationMatching, activation_matching_of
from dwf_steps.datasets.splits import Split
from dwf_steps.pipeline.settings.canonicalize import FindBarycentre
from dwf_steps.representation.activations import UnitResponses
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.manifest import Manifest, Network, last_trajectories, write_shard
from dwf_steps.storage.networks import load_state, network_groups, stack_states
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.barycentre import barycentre_of


def find_barycentre(
    settings: FindBarycentre,
    manifests: list[Path],
    reference: Path,
    data: Path,
    output: Path,
    manifest: Path,
) -> None:
    """Write the barycentre of a zoo's training networks as a shard of its own.

    As many networks as fit are in memory at a time; every round reads them again.

    Parameters
    ----------
    settings
        The architecture, the methods applied before the matching, the matching, and how many of the last
        trajectories are held out.
    manifests
        The zoo's manifests, ``shard-{k}.json``.
    reference
        The reference's manifest; the first round aligns to the reference.
    data
        The zoo's ``data.npz``; its training inputs are used by matching by activations.
    output
        The folder ``barycentre/`` with one file: the mean of the weights, or, for matching by activations,
        the mean of the layers' responses.
    manifest
        Its manifest, which also states the ``spreads`` of `Barycentre`.

    Raises
    ------
    InputError
        If a network's file has changed since it was written.
    """
    architecture = build(settings.architecture)
    shards = [Manifest.read(path) for path in manifests]
    held_out = last_trajectories(shards, settings.held_out)
    files = [
        shard.verified_file(record)
        for shard in shards
        for record in shard.networks
        if record.trajectory not in held_out
    ]
    (reference_file,) = Manifest.read(reference).verified_files()

    def groups() -> Iterator[StackedNetworks[np.ndarray]]:
        parts = network_groups(files, architecture.layout.size)
        return map(stack_states, progress(parts, "group of networks"))

    by_responses = activation_matching_of([*settings.before, settings.matching])
    responding = (
        UnitResponses(architecture, by_responses, Split.load(data, "train")) if by_responses else None
    )
    barycentre = barycentre_of(
        architecture.symmetry_spec(),
        groups,
        load_state(reference_file),
        settings.before,
        settings.matching,
        responding,
    )
    of_responses = isinstance(settings.matching, ActivationMatching)
    write_shard(
        output,
        manifest,
        [Network("barycentre", barycentre.network, {"spreads": barycentre.spreads.tolist()})],
        {} if of_responses else settings.architecture.model_dump(),
        buffers=() if of_responses else architecture.buffers,
    )


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "reference", "data", "output", "manifest", several=["manifests"])
    args = options.parse_args()
    settings = parse_settings(FindBarycentre, args.settings)
    find_barycentre(settings, args.manifests, args.reference, args.data, args.output, args.manifest)


if __name__ == "__main__":
    run(main)
