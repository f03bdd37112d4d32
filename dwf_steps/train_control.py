"""Make networks without the zoo: untrained, trained anew, or snapshots of one training."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.controls import RandomInitConfig, SnapshotsConfig
from dwf_steps.config.zoo import NetworkPlan, TrainingConfig, plans_of
from dwf_steps.datasets.splits import Dataset
from dwf_steps.generators.samples import sample_names
from dwf_steps.pipeline.settings.generate import TrainControl
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.storage.checkpoint import Checkpoint, identity
from dwf_steps.storage.manifest import Manifest, unstack, write_shard
from dwf_steps.zoo.training import batches_per_epoch, initial_networks, train_networks

FIRST_SEED = 10**9  # zoos count theirs from 0

Stacked = dict[str, torch.Tensor]

logger = logging.getLogger(__name__)


def train_control(
    settings: TrainControl,
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
            epoch = batches_per_epoch(architecture, dataset, config)
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
    arrays = {name: value.cpu().numpy() for name, value in networks.items()}
    write_shard(
        output,
        manifest,
        unstack(names, arrays),
        settings.architecture.model_dump(),
        facts={"steps": steps},
        buffers=architecture.buffers,
    )


def plans(settings: TrainControl) -> list[NetworkPlan]:
    """Return the networks to make: each with a seed that no network of the zoo has."""
    start = FIRST_SEED + 10**6 * settings.control.sampling.seed + settings.first
    return plans_of(range(start, start + settings.count), settings.initialisations)


def zoo_epochs(training: TrainingConfig, zoo: list[Path]) -> float:
    """Return for how many epochs the zoo's networks were trained, on average over its shards: with patience a
    shard ends when its last network has not improved for so many."""
    if training.patience is None:
        return training.epochs
    kept = [max(record.facts["epochs"] for record in Manifest.read(path).networks) for path in zoo]
    return float(np.mean([min(training.epochs, epochs + training.patience) for epochs in kept]))


def steps_at_equal_cost(
    settings: TrainControl, whole: int, generating: list[Path], training: list[Path]
) -> int:
    """Return for how many steps each network is trained: the share of the zoo's ``whole`` training that takes
    as long as generating a network does; a step at least, and never more than the whole."""
    generated = _seconds(generating) / settings.matched_samples
    trained = _seconds(training) / settings.zoo_trainings
    return int(np.clip(round(whole * generated / trained), 1, whole))


def snapshots(
    architecture: Architecture,
    dataset: Dataset,
    settings: TrainControl,
    control: SnapshotsConfig,
    training: TrainingConfig,
) -> tuple[Stacked, int]:
    """Return the networks (count, ...) along the training of a single one, and the steps of all of it."""
    epoch = batches_per_epoch(architecture, dataset, training)
    times = control.skip_epochs + control.every_epochs * np.arange(settings.count)
    wanted = np.maximum(np.round(times * epoch).astype(int), 1)
    keep = sorted(set(wanted.tolist()))
    trained = train_networks(
        architecture, dataset, plans(settings)[:1], training, select_device(), steps=keep[-1], keep=keep
    )
    # Steps that round to the same batch are the same network.
    chosen = torch.from_numpy(np.searchsorted(keep, wanted))
    return {name: values[0][chosen] for name, values in trained.checkpoints.items()}, keep[-1]


def _seconds(benchmarks: list[Path]) -> float:
    return sum(pd.read_csv(path, sep="\t").s.mean() for path in benchmarks)


def main() -> None:
    options = parser(__doc__, "data", "output", "manifest", several=["training", "zoo"])
    options.add_argument("--generating", nargs="*", default=[], type=Path)
    options.add_argument(
        "--code", default="", help="fingerprint of the code, part of a checkpoint's identity"
    )
    args = options.parse_args()
    settings = parse_settings(TrainControl, args.settings)
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
