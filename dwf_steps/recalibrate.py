"""Recalibrate generated networks on training examples."""

import logging
from collections.abc import Iterator
from pathlib import Path

from dwf_steps.architectures import build
from dwf_steps.datasets.splits import Split
from dwf_steps.pipeline.settings.recalibrate import Recalibrate
from dwf_steps.recalibration.methods import apply_recalibration, references_of
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.manifest import Manifest, Network, finite, unstack, write_shard
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import network_groups, stack_states

logger = logging.getLogger(__name__)


def recalibrate(
    settings: Recalibrate,
    data: Path,
    networks: Path,
    weights: Path,
    output: Path,
    manifest: Path,
) -> None:
    """Apply recalibration methods to the networks of one shard, as many at a time as fit into memory.

    Parameters
    ----------
    settings
        The architecture, and the methods in order.
    data
        The zoo's ``data.npz``; methods use its training examples.
    networks
        The shard's manifest. Networks that failed before remain failed.
    weights
        The zoo's weight matrix; methods take statistics of training networks from it.
    output
        The folder for the recalibrated networks, with the same names.
    manifest
        Their manifest.

    Raises
    ------
    InputError
        If a file is damaged.
    """
    train = Split.load(data, "train")
    architecture, device = build(settings.architecture), select_device()
    shard = Manifest.read(networks)
    files = shard.verified_files()
    zoo = WeightMatrix.open(weights)
    references = [
        found.tensors(device) for found in references_of(settings.methods, zoo, architecture, train)
    ]

    def recalibrated() -> Iterator[Network]:
        for group in progress(network_groups(files, architecture.layout.size), "group of networks"):
            states = stack_states(group).tensors(device)
            after = apply_recalibration(architecture, states, settings.methods, train, references)
            yield from unstack([path.stem for path in group], after.numpy())

    failed = list(shard.failed)
    networks_left = finite(recalibrated(), failed)
    description = settings.architecture.model_dump()
    write_shard(output, manifest, networks_left, description, failed, shard.facts, architecture.buffers)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "data", "networks", "weights", "output", "manifest")
    args = options.parse_args()
    settings = parse_settings(Recalibrate, args.settings)
    recalibrate(settings, args.data, args.networks, args.weights, args.output, args.manifest)


if __name__ == "__main__":
    run(main)
