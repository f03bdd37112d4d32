"""Train all networks of a zoo's shard at once."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dwf_steps.architectures import build
from dwf_steps.config.zoo import NetworkPlan, checkpoint_names, plans_of
from dwf_steps.datasets.splits import Dataset
from dwf_steps.pipeline.settings.zoo import TrainZoo
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.measure import measured
from dwf_steps.storage.checkpoint import Checkpoint, identity
from dwf_steps.storage.manifest import TRAJECTORY
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.zoo.shards import write_scored_shard
from dwf_steps.zoo.training import TrainedNetworks, batches_per_epoch, train_networks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Shard:
    """The networks to keep, their names and the facts about each."""

    networks: StackedNetworks[torch.Tensor]
    names: list[str]
    facts: list[dict[str, Any]]


def train_zoo(
    settings: TrainZoo,
    data: Path,
    output: Path,
    manifest: Path,
    code: str = "",
) -> None:
    """Train the networks of one shard, score them and write them, or the checkpoints of their trajectories.

    An interrupted training with the same settings, code and data is resumed from its checkpoint.

    Parameters
    ----------
    settings
        The architecture, how to train, the seeds of the shard, and which checkpoints of trajectories to keep.
    data
        The zoo's ``data.npz``.
    output
        The folder for the networks, ``seed-{s}.safetensors`` or ``seed-{s}-checkpoint-{c}.safetensors``.
    manifest
        Their manifest, ``shard-{k}.json``: seed, initialisation, epochs, and scores on the training,
        validation and test sets.
    code
        Fingerprint of the code, part of the checkpoint's identity.

    Raises
    ------
    InputError
        If the architecture does not suit the data.
    """
    dataset = Dataset.load(data)
    dataset.check_fits(settings.architecture)
    seeds = range(settings.first, settings.first + settings.count)
    architecture, plans = build(settings.architecture), plans_of(seeds, settings.initialisations)
    checkpoint = Checkpoint(
        output.with_name(f"{output.name}.checkpoint"),
        identity(settings.model_dump_json(), code, dataset.train.inputs.tobytes()),
    )
    logger.info("training %d networks of %d parameters", len(plans), architecture.layout.size)
    n_batches = batches_per_epoch(architecture, dataset, settings.training)
    keep = settings.trajectory.steps(n_batches) if settings.trajectory else []
    with checkpoint:
        trained = train_networks(
            architecture, dataset, plans, settings.training, select_device(), checkpoint, keep=keep
        )
    kept = _checkpoints(plans, trained, keep, n_batches) if keep else _ends(plans, trained)
    write_scored_shard(architecture, dataset, kept.networks, kept.names, kept.facts, output, manifest)
    checkpoint.discard()


def _ends(plans: list[NetworkPlan], trained: TrainedNetworks) -> _Shard:
    facts = [_origin(plan) | {"epochs": int(e)} for plan, e in zip(plans, trained.epochs, strict=True)]
    return _Shard(trained.networks, [plan.name for plan in plans], facts)


def _checkpoints(
    plans: list[NetworkPlan], trained: TrainedNetworks, keep: list[int], n_batches: int
) -> _Shard:
    """Return the checkpoints, grouped by trajectory."""
    return _Shard(
        trained.checkpoints.map(lambda values: values.flatten(0, 1)),
        [name for plan in plans for name in checkpoint_names(plan.name, len(keep))],
        [
            _origin(plan) | {TRAJECTORY: plan.name, "step": step, "epochs": step / n_batches}
            for plan in plans
            for step in keep
        ],
    )


def _origin(plan: NetworkPlan) -> dict[str, Any]:
    return {"seed": plan.seed, "initialisation": plan.initialisation}


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "data", "output", "manifest", "measured")
    options.add_argument(
        "--code", default="", help="fingerprint of the code, part of a checkpoint's identity"
    )
    args = options.parse_args()
    settings = parse_settings(TrainZoo, args.settings)
    with measured(args.measured):
        train_zoo(settings, args.data, args.output, args.manifest, args.code)


if __name__ == "__main__":
    run(main)
