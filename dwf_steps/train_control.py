"""Make networks without the zoo: untrained, trained anew, or snapshots of one training."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.controls import FreshControl, RandomInitConfig, SnapshotsConfig
from dwf_steps.config.section import Section
from dwf_steps.config.zoo import NetworkPlan, TrainingConfig
from dwf_steps.datasets.splits import Dataset
from dwf_steps.generators.samples import sample_names
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.storage.checkpoint import Checkpoint, identity
from dwf_steps.storage.manifest import Manifest, unstack, write_shard
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.zoo.training import batches_per_epoch, initial_networks, train_networks

FIRST_SEED = 10**9  # zoos count theirs from 0

logger = logging.getLogger(__name__)


class TrainControlSettings(Section):
    """The control, the zoo's training, and which of the networks are made here: ``count`` from the ``first``.

    ``training`` is missing where the zoo was imported; ``priced_samples`` are the networks of the generator
    whose cost is to be equalled, ``zoo_trainings`` the networks that the zoo trained.
    """

    control: FreshControl
    architecture: ArchitectureConfig
    training: TrainingConfig | None
    initialisations: list[str]
    first: int
    count: int
    priced_samples: int = 1
    zoo_trainings: int = 1


def train_control(
    settings: TrainControlSettings,
    data: Path,
    generating: list[Path],
    training: list[Path],
    zoo: list[Path],
    output: Path,
    manifest: Path,
    code: str = "",
) -> None:
    """Make the networks of one shard.

    Parameters
    ----------
    generating, training
        What making the other generator's networks, and training the zoo, took: benchmark files.
    zoo
        The zoo's manifests.
    """
    architecture = build(settings.architecture)
    control = settings.control
    if isinstance(control, RandomInitConfig):
        networks, steps = initial_networks(architecture, plans(settings)), 0
    else:
        dataset = Dataset.load(data)
        if settings.training is None:
            raise ValueError("an imported zoo has no training to repeat")
        config = settings.training.model_copy(update={"patience": None})
        if isinstance(control, SnapshotsConfig):
            networks, steps = snapshots(architecture, dataset, settings, control, config)
        else:
            epoch = batches_per_epoch(dataset, config)
            if control.epochs is not None:
                steps = round(control.epochs * epoch)
            else:
                whole = round(zoo_epochs(settings.training, zoo) * epoch)
                steps = steps_at_equal_cost(settings, whole, generating, training)
            checkpoint = Checkpoint(
                output.with_name(f"{output.name}.checkpoint"),
                identity(settings.model_dump_json(), code, str(steps), dataset.train.inputs.tobytes()),
            )
            logger.info("training %d networks for %d steps", settings.count, steps)
            with checkpoint:
                networks = train_networks(
                    architecture, dataset, plans(settings), config, select_device(), checkpoint, steps
                ).networks
            checkpoint.discard()
    names = sample_names(settings.count, settings.first)
    write_shard(
        output,
        manifest,
        unstack(names, networks.numpy()),
        settings.architecture.model_dump(),
        facts={"steps": steps},
        buffers=architecture.buffers,
    )


def plans(settings: TrainControlSettings) -> list[NetworkPlan]:
    """Return the networks to make: each with a seed that no network of the zoo has."""
    control, kinds = settings.control, settings.initialisations
    start = FIRST_SEED + 10**6 * control.sampling.seed + settings.first
    return [
        NetworkPlan.model_validate(
            {"name": f"seed-{seed}", "seed": seed, "initialisation": kinds[seed % len(kinds)]}
        )
        for seed in range(start, start + settings.count)
    ]


def zoo_epochs(training: TrainingConfig, zoo: list[Path]) -> float:
    """Return for how many epochs the zoo's networks were trained, on average over its shards: with patience a
    shard ends when its last network has not improved for so many."""
    if training.patience is None:
        return training.epochs
    kept = [max(record.facts["epochs"] for record in Manifest.read(path).networks) for path in zoo]
    return float(np.mean([min(training.epochs, epochs + training.patience) for epochs in kept]))


def steps_at_equal_cost(
    settings: TrainControlSettings, whole: int, generating: list[Path], training: list[Path]
) -> int:
    """Return for how many steps each network is trained: the share of the zoo's ``whole`` training that takes
    as long as generating a network does; a step at least, and never more than the whole."""
    generated = _seconds(generating) / settings.priced_samples
    trained = _seconds(training) / settings.zoo_trainings
    return int(np.clip(round(whole * generated / trained), 1, whole))


def snapshots(
    architecture: Architecture,
    dataset: Dataset,
    settings: TrainControlSettings,
    control: SnapshotsConfig,
    training: TrainingConfig,
) -> tuple[StackedNetworks[torch.Tensor], int]:
    """Return the networks (count, ...) along the training of a single one, and the steps of all of it."""
    epoch = batches_per_epoch(dataset, training)
    times = control.skip_epochs + control.every_epochs * np.arange(settings.count)
    wanted = np.maximum(np.round(times * epoch).astype(int), 1)
    keep = sorted(set(wanted.tolist()))
    trained = train_networks(
        architecture, dataset, plans(settings)[:1], training, select_device(), steps=keep[-1], keep=keep
    )
    # Steps that round to the same batch are the same network.
    chosen = torch.from_numpy(np.searchsorted(keep, wanted))
    return StackedNetworks(trained.checkpoints.network(0)).map(lambda values: values[chosen]), keep[-1]


def _seconds(benchmarks: list[Path]) -> float:
    return sum(pd.read_csv(path, sep="\t").s.mean() for path in benchmarks)


def main() -> None:
    options = parser(__doc__, "data", "output", "manifest")
    options.add_argument("--generating", nargs="*", default=[], type=Path)
    options.add_argument("--training", nargs="*", default=[], type=Path)
    options.add_argument("--zoo", nargs="*", default=[], type=Path)
    options.add_argument(
        "--code", default="", help="fingerprint of the code, part of a checkpoint's identity"
    )
    args = options.parse_args()
    settings = parse_settings(TrainControlSettings, args.settings)
    train_control(
        settings,
        args.data,
        args.generating,
        args.training,
        args.zoo,
        args.output,
        args.manifest,
        args.code,
    )


if __name__ == "__main__":
    run(main)
