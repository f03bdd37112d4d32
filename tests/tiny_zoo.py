"""Data, networks and weights that steps can be called on, made in a moment, and predictions by NumPy."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import ZipFile, is_zipfile

import numpy as np
import pytest

from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.divide_data import DivideData, divide_data
from dwf_steps.stack_weights import StackWeights, stack_weights
from dwf_steps.storage.manifest import Manifest, Record, sha256
from dwf_steps.storage.networks import save_network

State = dict[str, np.ndarray]
WIDTHS = [4, 5, 3]
ARCHITECTURE = {"widths": WIDTHS}


def iris(folder: Path) -> Path:
    """Divide the iris data as a zoo's are."""
    path = folder / "data.npz"
    divide_data(DivideData(dataset="iris", splits=SplitsConfig()), None, path)
    return path


def random_networks(count: int, seed: int = 0, widths: list[int] = WIDTHS) -> dict[str, State]:
    """Return networks with normal weights, by name."""
    draws, layers = np.random.default_rng(seed), list(zip(widths[1:], widths[:-1], strict=True))
    shapes = {f"layers.{i}.weight": shape for i, shape in enumerate(layers)}
    shapes |= {f"layers.{i}.bias": shape[:1] for i, shape in enumerate(layers)}
    return {
        f"net-{i}": {name: draws.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        for i in range(count)
    }


def write_networks(
    manifest: Path,
    networks: Mapping[str, State],
    failed: tuple[str, ...] = (),
    widths: list[int] = WIDTHS,
) -> Path:
    """Write networks as a shard beside its manifest."""
    folder, description = manifest.with_suffix(""), MLPConfig(widths=widths).model_dump()
    folder.mkdir(parents=True)
    records = []
    for name, state in networks.items():
        save_network(folder / f"{name}.safetensors", state, description)
        records.append(Record(name, sha256(folder / f"{name}.safetensors")))
    Manifest(manifest, tuple(records), failed).write()
    return manifest


def stack(folder: Path, networks: Mapping[str, State], held_out: int = 0, widths: list[int] = WIDTHS) -> Path:
    """Stack networks into a weight matrix, the last ``held_out`` of them held out."""
    manifest, path = write_networks(folder / "zoo.json", networks, (), widths), folder / "weights.zarr"
    stack_weights(StackWeights(held_out=held_out, dtype="float32", memory_mb=64), [manifest], path)
    return path


def flat(state: State) -> np.ndarray:
    """Return a network's weights as a row of the weight matrix, by name in order."""
    return np.concatenate([state[name].ravel() for name in sorted(state)])


def log_probabilities(state: State, inputs: np.ndarray) -> np.ndarray:
    """Return what a network predicts, (m, classes) float64, computed layer by layer."""
    hidden = hidden_units(state, inputs)
    logits = hidden @ state["layers.1.weight"].T.astype(float) + state["layers.1.bias"]
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def hidden_units(state: State, inputs: np.ndarray) -> np.ndarray:
    """Return the hidden layer's activations, (m, 5) float64."""
    return np.maximum(inputs.astype(float) @ state["layers.0.weight"].T + state["layers.0.bias"], 0)


def damage(path: Path) -> None:
    """Change one byte in the middle of a file; of an npz file in the middle of its largest array, since
    there are bytes between arrays that nobody reads."""
    content = bytearray(path.read_bytes())
    place = len(content) // 2
    if is_zipfile(path):
        with ZipFile(path) as arrays:
            largest = max(arrays.infolist(), key=lambda array: array.compress_size)
            starts = [array.header_offset for array in arrays.infolist()]
            end = min([start for start in starts if start > largest.header_offset], default=arrays.start_dir)
        place = end - largest.compress_size // 2
    content[place] ^= 1
    path.write_bytes(content)


def command(monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], *arguments: object) -> None:
    """Call a step's ``main`` with a command line."""
    monkeypatch.setattr(sys, "argv", ["step", *map(str, arguments)])
    main()
