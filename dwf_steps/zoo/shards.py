"""Writing a shard of a zoo, with each network's scores on every split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dwf_steps.architectures.base import Architecture
from dwf_steps.datasets.splits import Dataset
from dwf_steps.metrics.scores import score_split
from dwf_steps.runtime.device import select_device
from dwf_steps.storage.manifest import unstack, write_shard
from dwf_steps.storage.networks import network_groups
from dwf_steps.storage.stacked import StackedNetworks


def write_scored_shard(
    architecture: Architecture,
    dataset: Dataset,
    networks: StackedNetworks[torch.Tensor],
    names: Sequence[str],
    facts: Sequence[dict[str, Any]],
    output: Path,
    manifest: Path,
) -> None:
    """Score n networks on the device, and write their files and manifest.

    Parameters
    ----------
    architecture
        The networks' architecture.
    dataset
        The data set.
    networks
        The n networks, on any device.
    names
        Their names.
    facts
        Entries for each network's record in the manifest, to which accuracy and loss on each split are added.
    output
        Folder of the networks' files.
    manifest
        File of the manifest.
    """
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    all_facts: list[dict[str, Any]] = []
    for rows in network_groups(range(networks.count), architecture.layout.size):
        some = networks.select(slice(rows[0], rows[-1] + 1)).map(lambda value: value.to(select_device()))
        scores = {name: score_split(architecture, some, split) for name, split in splits.items()}
        all_facts += [
            dict(facts[row])
            | {f"{name}_accuracy": float(s.accuracy[i]) for name, s in scores.items()}
            | {f"{name}_loss": float(s.loss[i]) for name, s in scores.items()}
            for i, row in enumerate(rows)
        ]
    shard, description = unstack(names, networks.numpy(), all_facts), architecture.config.model_dump()
    write_shard(output, manifest, shard, description, buffers=architecture.buffers)
