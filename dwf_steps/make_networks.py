"""Make whole networks without samples: untrained, trained from scratch, snapshots, or read from files."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dwf_steps.architectures import build
from dwf_steps.config.zoo import NetworkPlan, TrainingConfig, new_plans
from dwf_steps.generators.base import Tools
from dwf_steps.generators.network_maker import NetworkMaker, Request
from dwf_steps.generators.registry import implementation_of
from dwf_steps.generators.samples import sample_names
from dwf_steps.pipeline.settings.generate import CostMatched, MakeNetworks
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.storage.checkpoint import Checkpoint, identity
from dwf_steps.storage.manifest import Manifest, finite, sha256, unstack, write_shard
from dwf_steps.storage.matrix import WeightMatrix

logger = logging.getLogger(__name__)


def make_networks(
    settings: MakeNetworks,
    output: Path,
    manifest: Path,
    data: Path | None = None,
    generating: list[Path] | None = None,
    training: list[Path] | None = None,
    zoo: list[Path] | None = None,
    code: str = "",
    weights: Path | None = None,
    reference: Path | None = None,
    barycentre: Path | None = None,
    made: list[Path] | None = None,
) -> None:
    """Make the networks of one shard; those with weights that are not finite are listed as failed.

    Parameters
    ----------
    settings
        The generator, the architecture, the zoo's training, which networks the shard has, and how networks
        are canonicalized.
    output
        The folder for the networks, ``sample-{i}.safetensors``.
    manifest
        Their manifest, which also states the optimisation ``steps`` taken.
    data
        The zoo's ``data.npz``, if the generator reads data.
    generating
        Benchmark files of fitting, sampling and decoding the generator whose cost is matched.
    training
        Benchmark files of training the zoo, likewise.
    zoo
        The zoo's manifests, for the number of epochs its networks were trained.
    code
        Fingerprint of the code, part of the checkpoint's identity.
    weights
        The zoo's weight matrix, if the generator reads weights.
    reference
        Manifest of the canonicalization's reference, if networks are canonicalized.
    barycentre
        Manifest of the barycentre, if a method matches to it.
    made
        Manifests of networks generated for several zoos, if the generator selects those of its zoo.

    Raises
    ------
    InputError
        If a file is damaged, or the generator cannot make the networks.
    """
    cost = epochs = None
    if settings.cost_matched is not None and settings.training is not None:
        cost = share_at_equal_cost(settings.cost_matched, generating or [], training or [])
        epochs = zoo_epochs(settings.training, zoo or [])
    checkpoint = Checkpoint(
        output.with_name(f"{output.name}.checkpoint"),
        identity(
            settings.model_dump_json(),
            code,
            f"{cost} {epochs}",
            sha256(data) if data else "",
            WeightMatrix.open(weights).description if weights else "",
        ),
    )
    architecture = build(settings.architecture)
    maker: NetworkMaker[Any] = implementation_of(settings.generator, NetworkMaker)
    with Tools(checkpoint, data) as given:
        request = Request(
            architecture,
            plans(settings),
            settings.training,
            given,
            cost,
            epochs,
            weights,
            settings.first,
            settings.methods,
            reference,
            barycentre,
            settings.zoo,
            made or [],
        )
        networks = maker.make(request)
    checkpoint.discard()
    names, failed = sample_names(settings.count, settings.first), list[str]()
    write_shard(
        output,
        manifest,
        finite(unstack(names, networks.networks.numpy(), networks.facts), failed),
        settings.architecture.model_dump(),
        failed,
        {"steps": networks.steps},
        architecture.buffers,
    )
    if failed:
        logger.warning("%d of %d networks have weights that are not finite", len(failed), len(names))


def plans(settings: MakeNetworks) -> list[NetworkPlan]:
    """Plan the networks to make, each with a seed that no network of the zoo has.

    Parameters
    ----------
    settings
        The generator's seed, the numbers of the networks and their initialisations.

    Returns
    -------
    A plan for each network, in order.
    """
    numbers = range(settings.first, settings.first + settings.count)
    return new_plans(settings.generator.sampling.seed, numbers, settings.initialisations)


def zoo_epochs(training: TrainingConfig, zoo: list[Path]) -> float:
    """Return for how many epochs the zoo's networks were trained, on average over its shards.

    With patience, a shard's training ends when its last network has not improved for that many epochs.

    Parameters
    ----------
    training
        How the zoo was trained.
    zoo
        The zoo's manifests; read only if training has patience.

    Returns
    -------
    Epochs.
    """
    if training.patience is None:
        return training.epochs
    kept = [max(record.facts["epochs"] for record in Manifest.read(path).networks) for path in zoo]
    return float(np.mean([min(training.epochs, epochs + training.patience) for epochs in kept]))


def share_at_equal_cost(matched: CostMatched, generating: list[Path], training: list[Path]) -> float:
    """Return the share of a network's training that takes as long as generating one network.

    Parameters
    ----------
    matched
        How many networks the benchmark files of generating and of training stand for.
    generating
        Snakemake's benchmark files of fitting, sampling and decoding.
    training
        Snakemake's benchmark files of training the zoo.

    Returns
    -------
    Seconds for generating a network, divided by seconds for training one.
    """
    generated = _seconds(generating) / matched.samples
    return generated / (_seconds(training) / matched.trainings)


def _seconds(benchmarks: list[Path]) -> float:
    return float(sum(pd.read_csv(path, sep="\t").s.mean() for path in benchmarks))


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "output", "manifest", several=["training", "zoo", "made"])
    options.add_argument("--data", type=Path, nargs="?", help="where the generator reads data")
    options.add_argument("--weights", type=Path, nargs="?", help="where the generator reads weights")
    options.add_argument("--reference", type=Path, nargs="?", help="where networks are canonicalized")
    options.add_argument("--barycentre", type=Path, nargs="?", help="where they are matched to it")
    options.add_argument("--generating", nargs="*", default=[], type=Path)
    options.add_argument(
        "--code", default="", help="fingerprint of the code, part of a checkpoint's identity"
    )
    args = options.parse_args()
    settings = parse_settings(MakeNetworks, args.settings)
    make_networks(
        settings,
        args.output,
        args.manifest,
        args.data,
        args.generating,
        args.training,
        args.zoo,
        args.code,
        args.weights,
        args.reference,
        args.barycentre,
        args.made,
    )


if __name__ == "__main__":
    run(main)
