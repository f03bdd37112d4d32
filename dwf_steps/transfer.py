"""Transfer networks to another data set: score them before and after every epoch of fine-tuning."""

import logging
from pathlib import Path

import pandas as pd
from torch import Tensor

from dwf_steps.architectures import build
from dwf_steps.config.zoo import NetworkPlan
from dwf_steps.datasets.splits import Dataset
from dwf_steps.generators.samples import sample_names
from dwf_steps.metrics.scores import score_split
from dwf_steps.pipeline.settings.transfer import Transfer
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import stack_states
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.zoo.heads import with_new_head
from dwf_steps.zoo.training import batches_per_epoch, train_networks

logger = logging.getLogger(__name__)


def transfer(settings: Transfer, data: Path, networks: list[Path], output: Path) -> None:
    """Write the test accuracy and loss of each network after each epoch of fine-tuning.

    There is a row for each network and epoch; epoch 0 is the network before fine-tuning. A network that
    failed, or whose weights are no longer finite, has no scores.

    Parameters
    ----------
    settings
        The architecture; how many networks to transfer, how to fine-tune them, and whether with a new head.
    data
        ``data.npz`` of the other data set, with images scaled and classes renamed to suit the networks.
    networks
        The shards' manifests.
    output
        ``transfers/{transfer}.csv``.

    Raises
    ------
    InputError
        If the data do not suit the networks, or a network's file has changed since it was written.
    """
    config, manifests = settings.transfer, [Manifest.read(path) for path in networks]
    total = sum(len(manifest.networks) + len(manifest.failed) for manifest in manifests)
    names = sample_names(min(config.networks, total))
    files = [path for manifest in manifests for path in manifest.verified_files() if path.stem in names]
    frame = pd.DataFrame(columns=["network", "epoch", "accuracy", "loss"])
    if files:
        frame = _scores(settings, Dataset.load(data), files)
    every = pd.MultiIndex.from_product([names, range(config.training.epochs + 1)], names=["network", "epoch"])
    frame = frame.set_index(["network", "epoch"]).reindex(every)
    frame.insert(0, "failed", frame.loss.isna())
    write_csv(output, frame.reset_index())


def _scores(settings: Transfer, dataset: Dataset, files: list[Path]) -> pd.DataFrame:
    config = settings.transfer
    start = stack_states(files).tensors(select_device())
    architecture = build(settings.architecture)
    plans = [
        NetworkPlan(name=name, seed=config.seed + int(name.split("-")[1]), initialisation="default")
        for name in (path.stem for path in files)
    ]
    if config.head == "new":
        seeds = [plan.seed for plan in plans]
        architecture, start = with_new_head(settings.architecture, start, dataset.n_classes, seeds)
    dataset.check_fits(architecture.config)
    entries = [entry.name for entry in architecture.layout.entries]
    frozen = entries[: round(config.frozen * len(entries))]
    per_epoch, rows = batches_per_epoch(architecture, dataset, config.training), []

    def watch(step: int, now: StackedNetworks[Tensor]) -> None:
        epoch, rest = divmod(step, per_epoch)
        if rest == 0:
            scores = score_split(architecture, now, dataset.test)
            logger.info("epoch %d: mean test accuracy %.4f", epoch, scores.accuracy.mean())
            for path, accuracy, loss in zip(files, scores.accuracy, scores.loss, strict=True):
                rows.append({"network": path.stem, "epoch": epoch, "accuracy": accuracy, "loss": loss})

    watch(0, start)
    train_networks(
        architecture,
        dataset,
        plans,
        config.training,
        select_device(),
        watch=watch,
        start=start,
        frozen=frozen,
    )
    return pd.DataFrame(rows)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "data", "output", several=["networks"])
    args = options.parse_args()
    settings = parse_settings(Transfer, args.settings)
    transfer(settings, args.data, args.networks, args.output)


if __name__ == "__main__":
    run(main)
