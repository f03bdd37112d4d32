"""Train a shard of a zoo: all its networks at once."""

import logging
from pathlib import Path

from dwf_steps.architectures import build
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.section import Section
from dwf_steps.config.zoo import NetworkPlan, TrainingConfig
from dwf_steps.datasets.splits import Dataset
from dwf_steps.device import select_device
from dwf_steps.measure import measured
from dwf_steps.step import parse_settings, parser, run
from dwf_steps.storage.checkpoint import Checkpoint, identity
from dwf_steps.zoo.shards import write_scored_shard
from dwf_steps.zoo.training import train_networks

logger = logging.getLogger(__name__)


class TrainZooSettings(Section):
    """What decides a shard's networks."""

    architecture: ArchitectureConfig
    training: TrainingConfig
    networks: list[NetworkPlan]


def train_zoo(
    settings: TrainZooSettings,
    data: Path,
    output: Path,
    manifest: Path,
    code: str = "",
) -> None:
    """Train the networks of one shard and write them with their scores."""
    dataset = Dataset.load(data)
    dataset.check_fits(settings.architecture)
    architecture, plans = build(settings.architecture), settings.networks
    checkpoint = Checkpoint(
        output.with_name(f"{output.name}.checkpoint"),
        identity(settings.model_dump_json(), code, dataset.train.inputs.tobytes()),
    )
    logger.info("training %d networks of %d parameters", len(plans), architecture.layout.size)
    with checkpoint:
        trained = train_networks(architecture, dataset, plans, settings.training, select_device(), checkpoint)
    facts = [
        {"seed": plan.seed, "initialisation": plan.initialisation, "epochs": int(epochs)}
        for plan, epochs in zip(plans, trained.epochs, strict=True)
    ]
    write_scored_shard(
        architecture,
        dataset,
        trained.networks,
        [plan.name for plan in plans],
        facts,
        output,
        manifest,
    )
    checkpoint.discard()


def main() -> None:
    options = parser(__doc__, "data", "output", "manifest", "measured")
    options.add_argument(
        "--code", default="", help="fingerprint of the code, part of a checkpoint's identity"
    )
    args = options.parse_args()
    settings = parse_settings(TrainZooSettings, args.settings)
    with measured(args.measured):
        train_zoo(settings, args.data, args.output, args.manifest, args.code)


if __name__ == "__main__":
    run(main)
