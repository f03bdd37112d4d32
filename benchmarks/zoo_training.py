"""Training 100 MNIST networks: all at once, with own or with shared batches, against one at a time.

One at a time, with a DataLoader, is measured twice: over tensors that are already standardised, and, with
`--data-dir`, over torchvision's MNIST with its transforms, as tutorials write it.
"""

import argparse
import importlib
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import passive_threads  # noqa: F401
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.zoo import TrainedZoo, TrainingConfig, plans_of
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.runtime.libraries import torchvision_datasets
from dwf_steps.zoo.training import train_networks

EXAMPLES, BATCH, EPOCHS = 60_000, 64, 5
BATCHES: tuple[Literal["own", "shared"], ...] = ("own", "shared")


def synthetic() -> Dataset:
    """Data of MNIST's shape: only the shape matters here."""
    draws = np.random.default_rng(0)
    inputs = draws.standard_normal((EXAMPLES, 784)).astype(np.float32)
    split = Split(inputs, draws.integers(10, size=EXAMPLES))
    return Dataset(split, split, split)


def at_once(dataset: Dataset, widths: list[int], n: int, batches: Literal["own", "shared"]) -> float:
    """Return seconds for one epoch of n networks at once."""
    zoo = TrainedZoo(dataset="mnist", architecture=MLPConfig(widths=widths), seeds=n)
    training = TrainingConfig(epochs=1, batch_size=BATCH, batches=batches)
    started = time.perf_counter()
    train_networks(
        build(zoo.architecture),
        dataset,
        plans_of(range(zoo.seeds), zoo.initialisations),
        training,
        torch.device("cpu"),
    )
    return time.perf_counter() - started


def one_at_a_time(examples: TorchDataset[Any], widths: list[int]) -> float:
    """Return seconds for one epoch of one network."""
    module = build(MLPConfig(widths=widths)).module()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    started = time.perf_counter()
    for inputs, targets in DataLoader(examples, batch_size=BATCH, shuffle=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), targets).backward()
        optimizer.step()
    return time.perf_counter() - started


def torchvision_mnist(data_dir: Path) -> TorchDataset[Any]:
    """Return torchvision's MNIST with the usual transforms."""
    datasets = torchvision_datasets()
    transforms = importlib.import_module("torchvision.transforms")
    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    return datasets.MNIST(data_dir, train=True, transform=transforms.Compose(steps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST/raw")
    parser.add_argument("--hidden", type=int, nargs="+", default=[32, 32], help="widths of hidden layers")
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    dataset, widths = synthetic(), [784, *args.hidden, 10]
    tensors = [torch.from_numpy(array) for array in (dataset.train.inputs, dataset.train.targets)]
    alone: dict[str, TorchDataset[Any]] = {"one at a time, tensors": TensorDataset(*tensors)}
    if args.data_dir:
        alone["one at a time, torchvision"] = torchvision_mnist(args.data_dir)
    seconds: dict[str, list[float]] = {}
    for _ in range(args.repeats):
        for batches in BATCHES:
            ours = EPOCHS * at_once(dataset, widths, args.networks, batches) / args.networks
            seconds.setdefault(f"all {args.networks} at once, {batches} batches", []).append(ours)
        for name, examples in alone.items():
            seconds.setdefault(name, []).append(EPOCHS * one_at_a_time(examples, widths))
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    fastest = min(medians.values())
    print(f"{'-'.join(map(str, widths))}, {EXAMPLES} examples, batch {BATCH}, {EPOCHS} epochs; medians")
    for name, value in medians.items():
        print(f"{name:32} {value:8.2f} s a network   ratio {value / fastest:6.1f}")


if __name__ == "__main__":
    main()
