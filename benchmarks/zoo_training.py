"""Training 100 MNIST-sized networks: all at once, against one at a time with a DataLoader."""

import argparse
import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dwf_steps.architectures import build
from dwf_steps.config.architecture import MLPConfig
from dwf_steps.config.zoo import TrainedZoo, TrainingConfig
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.zoo.training import train_networks

WIDTHS = [784, 32, 32, 10]
EXAMPLES, BATCH, EPOCHS = 60_000, 64, 5


def synthetic() -> Dataset:
    """Data of MNIST's shape: only the shape matters here."""
    draws = np.random.default_rng(0)
    inputs = draws.standard_normal((EXAMPLES, WIDTHS[0])).astype(np.float32)
    split = Split(inputs, draws.integers(WIDTHS[-1], size=EXAMPLES))
    return Dataset(split, split, split)


def at_once(dataset: Dataset, n: int) -> float:
    """Return seconds for one epoch of n networks at once."""
    zoo = TrainedZoo(dataset="mnist", architecture=MLPConfig(widths=WIDTHS), seeds=n)
    training = TrainingConfig(epochs=1, batch_size=BATCH)
    started = time.perf_counter()
    train_networks(build(zoo.architecture), dataset, zoo.networks(), training, torch.device("cpu"))
    return time.perf_counter() - started


def one_at_a_time(dataset: Dataset) -> float:
    """Return seconds for one epoch of one network, as a tutorial would train it."""
    module = build(MLPConfig(widths=WIDTHS)).module()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    examples = TensorDataset(torch.from_numpy(dataset.train.inputs), torch.from_numpy(dataset.train.targets))
    started = time.perf_counter()
    for inputs, targets in DataLoader(examples, batch_size=BATCH, shuffle=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), targets).backward()
        optimizer.step()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    dataset = synthetic()
    ours, theirs = [], []
    for _ in range(args.repeats):
        ours.append(EPOCHS * at_once(dataset, args.networks) / args.networks)
        theirs.append(EPOCHS * one_at_a_time(dataset))
    a, b = float(np.median(ours)), float(np.median(theirs))
    print(f"{'x'.join(map(str, WIDTHS))}, {EXAMPLES} examples, batch {BATCH}, {EPOCHS} epochs; medians")
    print(f"all {args.networks} at once   {a:8.2f} s a network")
    print(f"one at a time    {b:8.2f} s a network")
    print(f"ratio            {b / a:8.0f}")


if __name__ == "__main__":
    main()
