"""Take networks to another data set: score them as they are, and after every epoch of fine-tuning."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.architectures import build
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.dataset import DatasetConfig, Shape
from dwf_steps.config.section import Section
from dwf_steps.config.transfer import TransferConfig
from dwf_steps.config.zoo import NetworkPlan
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.device import select_device
from dwf_steps.errors import InputError
from dwf_steps.generators.samples import sample_names
from dwf_steps.metrics.scores import score_split
from dwf_steps.step import parse_settings, parser, run
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import stack_states, tensors
from dwf_steps.zoo.heads import with_new_head
from dwf_steps.zoo.training import batches_per_epoch, train_networks

logger = logging.getLogger(__name__)


class TransferSettings(Section):
    """The networks' architecture, and where they are taken to."""

    dataset: DatasetConfig
    architecture: ArchitectureConfig
    transfer: TransferConfig


def transfer(settings: TransferSettings, data_dir: Path | None, networks: list[Path], output: Path) -> None:
    """Write one row a network and epoch, epoch 0 being the network as it is: test accuracy and loss.

    A network that failed, or whose weights are no longer finite, has no scores.

    Parameters
    ----------
    networks
        The shards' manifests.
    """
    config, manifests = settings.transfer, [Manifest.read(path) for path in networks]
    total = sum(len(manifest.networks) + len(manifest.failed) for manifest in manifests)
    names = sample_names(min(config.networks, total))
    files = [path for manifest in manifests for path in manifest.verified_files() if path.stem in names]
    frame = pd.DataFrame(columns=["network", "epoch", "accuracy", "loss"])
    if files:
        dataset = adapted(load_dataset(settings.dataset, config.splits, data_dir), config)
        frame = _scores(settings, dataset, files)
    every = pd.MultiIndex.from_product([names, range(config.training.epochs + 1)], names=["network", "epoch"])
    frame = frame.set_index(["network", "epoch"]).reindex(every)
    frame.insert(0, "failed", frame.loss.isna())
    with replacing(output) as partial:
        frame.to_csv(partial)


def _scores(settings: TransferSettings, dataset: Dataset, files: list[Path]) -> pd.DataFrame:
    config = settings.transfer
    start = tensors(stack_states(files), select_device())
    architecture = build(settings.architecture)
    if config.head == "new":
        architecture, start = with_new_head(settings.architecture, start, dataset.n_classes, config.seed)
    dataset.check_fits(architecture.config)
    plans = [
        NetworkPlan(name=name, seed=config.seed + int(name.split("-")[1]), initialisation="default")
        for name in (path.stem for path in files)
    ]
    entries = [entry.name for entry in architecture.layout.entries]
    frozen = entries[: round(config.frozen * len(entries))]
    per_epoch, rows = batches_per_epoch(dataset, config.training), []

    def watch(step: int, now: dict[str, Tensor]) -> None:
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


def adapted(dataset: Dataset, config: TransferConfig) -> Dataset:
    """Return the data with images of another size, and classes called by the outputs that stand for them.

    Raises
    ------
    InputError
        If the classes named are not as many as the data have.
    """
    if config.size and dataset.shape:
        dataset = _scaled(dataset, dataset.shape, config.size)
    if config.classes is None:
        return dataset
    if len(config.classes) != dataset.n_classes:
        raise InputError(
            f"classes: found {len(config.classes)}, but {config.dataset} has {dataset.n_classes} classes; "
            "name an output for each, or null"
        )
    outputs = np.array([-1 if output is None else output for output in config.classes])

    def renamed(split: Split) -> Split:
        targets = outputs[split.targets]
        return Split(split.inputs[targets >= 0], targets[targets >= 0])

    return dataset.with_splits(renamed)


def _scaled(dataset: Dataset, shape: Shape, size: int) -> Dataset:
    """Return images of another height and width, bilinear, without aliasing."""

    def scaled(split: Split) -> Split:
        images = torch.from_numpy(split.inputs).view(-1, *shape)
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
        return Split(images.flatten(1).numpy(), split.targets)

    return replace(dataset.with_splits(scaled), shape=(shape[0], size, size))


def main() -> None:
    options = parser(__doc__, "data-dir", "output")
    options.add_argument("--networks", required=True, nargs="+", type=Path)
    args = options.parse_args()
    settings = parse_settings(TransferSettings, args.settings)
    transfer(settings, args.data_dir, args.networks, args.output)


if __name__ == "__main__":
    run(main)
