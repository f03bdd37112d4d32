"""Encoding networks in response coordinates, decoding them and choosing their units, against training one;
decoding a layer, against its number of inputs."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import passive_threads  # noqa: F401
import torch
from torch import Tensor

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.responses import ResponseBasis, Sketches, encode
from dwf_steps.representation.selection import UnitSelection
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks

Matching = Literal["pre_activations", "activations"]
MATCHING: tuple[Matching, ...] = ("pre_activations", "activations")
BATCH = 64
CANDIDATES = 10
FAN_INS = (64, 256, 1024, 4608)
UNITS, ROWS = 512, 4000  # as ResNet-18's last stage, at 1,000 probes and 4 positions of each

NETWORKS: dict[str, tuple[ArchitectureConfig, int, int, int, int]] = {
    "MLP 784-32-32-10": (MLPConfig(widths=[784, 32, 32, 10]), 100, 2000, 60_000, 5),
    "ResNet-20, half as wide": (
        ResNetConfig(kind="resnet20", width_multiplier=0.5, classes=10), 10, 1000, 50_000, 10
    ),
}  # fmt: skip
"""Name: architecture, networks, probes, training examples, epochs."""


def random_networks(architecture: Architecture, n: int) -> StackedNetworks[Tensor]:
    drawn = [architecture.initial_state("default", torch_generator("benchmark", i)) for i in range(n)]
    return StackedNetworks.stack(drawn, torch.stack)


def basis_of(capture: Capture, networks: StackedNetworks[Tensor], functions: int) -> ResponseBasis:
    sketches = Sketches(capture, trace(capture.architecture), functions, seed=0)
    sketches.add(networks)
    shapes = {entry.name: entry.shape for entry in capture.architecture.layout.entries}
    return sketches.basis(shapes, networks.select([0]))


def seconds_of_a_training_step(architecture: Architecture, features: int, repeats: int = 5) -> float:
    """Return the seconds of one step of one network, a batch of 64, the fastest of some."""
    module = architecture.module().train()
    optimizer = torch.optim.Adam(module.parameters())
    inputs = torch.randn(BATCH, features).unflatten(-1, architecture.input_shape)
    targets = torch.zeros(BATCH, dtype=torch.long)
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(inputs), targets).backward()
        optimizer.step()
        found.append(time.perf_counter() - started)
    return min(found)


def against_training(name: str) -> None:
    config, n, probes, examples, epochs = NETWORKS[name]
    architecture = build(config)
    networks = random_networks(architecture, n)
    capture = Capture(architecture, torch.randn(probes, config.features), positions=4, seed=0)
    step = seconds_of_a_training_step(architecture, config.features)
    training = step * epochs * examples / BATCH
    started = time.perf_counter()
    basis = basis_of(capture, networks, 200)
    sketched = (time.perf_counter() - started) / n
    started = time.perf_counter()
    coordinates, _ = encode(capture, basis, networks)
    encoded = (time.perf_counter() - started) / n
    print(
        f"{name}: training {training:.1f} s a network ({epochs} epochs of {examples:,}), sketching "
        f"{sketched:.3f} s, encoding {encoded:.3f} s",
        flush=True,
    )
    buffers = networks.only(architecture.buffers)
    for matching in MATCHING:
        started = time.perf_counter()
        decoder = Decoder(capture, basis, matching=matching)
        decoder.decode(coordinates, buffers)
        decoded = (time.perf_counter() - started) / n
        print(f"  decoding, {matching}: {decoded:.3f} s a network, 1/{training / decoded:.0f}", flush=True)
    candidates = torch.stack([coordinates.roll(i, dims=0) for i in range(CANDIDATES)], dim=1)
    started = time.perf_counter()
    selection = UnitSelection.of(architecture, basis.trace)
    for rows in candidates.split(10):
        selection.choose(decoder, rows, buffers.select(slice(len(rows))))
    chosen = (time.perf_counter() - started) / n
    print(f"  choosing units among {CANDIDATES} times as many: {chosen:.3f} s a network", flush=True)


def decode_a_layer(fan_in: int, matching: Matching) -> None:
    """Decode a network with one wide layer. Print seconds, the most memory of this process in GB, and what
    a network is said to take."""
    config = MLPConfig(widths=[64, fan_in, UNITS, 10])
    architecture = build(config)
    networks = random_networks(architecture, 2)
    capture = Capture(architecture, torch.randn(ROWS, 64), positions=1, seed=0)
    basis = basis_of(capture, networks, 200)
    coordinates, _ = encode(capture, basis, networks.select([0]))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # resets the peak
    started = time.perf_counter()
    decoder = Decoder(capture, basis, matching=matching)
    decoder.decode(coordinates, StackedNetworks())
    seconds = time.perf_counter() - started
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    budget = 2**36
    estimate = budget / decoder.networks_at_once(budget)
    print(json.dumps([seconds, peak * 1024 / 1e9, estimate / 1e9]))


def against_fan_in(repeats: int) -> None:
    for fan_in in FAN_INS:
        for matching in MATCHING:
            command = [sys.executable, __file__, "--fan-in", str(fan_in), "--matching", matching]
            runs = []
            for _ in range(repeats):
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
                runs.append(json.loads(done.stdout.splitlines()[-1]))
            seconds, memory, estimate = min(run[0] for run in runs), max(run[1] for run in runs), runs[0][2]
            print(
                f"{fan_in:,} inputs, {UNITS} units, {ROWS:,} rows, {matching}: {seconds:.1f} s, "
                f"{memory:.2f} GB in all; a network is said to take {estimate:.2f} GB",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fan-in", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--matching", choices=MATCHING, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.fan_in:
        decode_a_layer(args.fan_in, args.matching)
        return
    against_fan_in(args.repeats)
    for name in NETWORKS:
        against_training(name)


if __name__ == "__main__":
    main()
