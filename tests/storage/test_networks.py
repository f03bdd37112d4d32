"""Network files: written once, rebuilt from the file alone, read column by column."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from dwf_steps import load_network
from dwf_steps.architectures import build
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architectures.base import Activation
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.networks import (
    NetworkFile,
    describe,
    load_state,
    read_columns,
    save_network,
    stack_arrays,
    stack_states,
)

State = dict[str, np.ndarray]


def architecture_of(activation: Activation = "relu") -> MLPArchitecture:
    return build(MLPConfig(widths=[3, 4, 2], activation=activation))


def random_state(seed: int = 0) -> State:
    draws = np.random.default_rng(seed)
    return {e.name: draws.normal(size=e.shape).astype(np.float32) for e in architecture_of().layout.entries}


def written(path: Path, activation: Activation = "relu", seed: int = 0) -> Path:
    save_network(path, random_state(seed), architecture_of(activation).config.model_dump())
    return path


def row_of(state: State, layout: Layout) -> np.ndarray:
    return np.concatenate([state[e.name].ravel() for e in layout.entries])


def test_a_saved_state_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    loaded = load_state(written(tmp_path / "a.safetensors"))
    assert set(loaded) == set(random_state())
    for name, array in random_state().items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == np.float32


def test_arrays_that_are_views_are_saved_as_they_look(tmp_path: Path) -> None:
    stacked = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    state = {"transposed": stacked[1].T, "column": stacked[:, :, 2]}
    save_network(tmp_path / "a.safetensors", state, {})
    loaded = load_state(tmp_path / "a.safetensors")
    for name, array in state.items():
        np.testing.assert_array_equal(loaded[name], array)


def test_the_architecture_is_in_the_metadata(tmp_path: Path) -> None:
    with safe_open(written(tmp_path / "a.safetensors", "tanh"), framework="np") as file:
        metadata = file.metadata()
    assert json.loads(metadata["architecture"]) == {"kind": "mlp", "widths": [3, 4, 2], "activation": "tanh"}


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("as_text", [False, True])
def test_a_network_is_rebuilt_from_its_file_alone(
    tmp_path: Path, activation: Activation, as_text: bool
) -> None:
    path = written(tmp_path / "a.safetensors", activation)
    module = load_network(str(path) if as_text else path)
    assert isinstance(module, torch.nn.Module)
    assert not module.training
    expected = architecture_of(activation).module()
    expected.load_state_dict({name: torch.from_numpy(array) for name, array in random_state().items()})
    inputs = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(module(inputs), expected(inputs))


@pytest.mark.parametrize("read", [load_state, load_network])
def test_a_missing_file_is_an_input_error(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "nowhere.safetensors"
    with pytest.raises(InputError, match=re.escape(f"{path}: no such file")):
        read(path)


@pytest.mark.parametrize("read", [load_state, load_network])
@pytest.mark.parametrize("kept", [0, 4, 8, 40, 300, -1])
def test_a_truncated_file_is_an_input_error(
    tmp_path: Path, read: Callable[[Path], object], kept: int
) -> None:
    path = written(tmp_path / "a.safetensors")
    assert path.stat().st_size > 300
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}: not a readable .* may be truncated"):
        read(path)


@pytest.mark.parametrize("metadata", [None, {"other": "1"}])
def test_a_file_without_its_architecture_is_an_input_error(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    path = tmp_path / "a.safetensors"
    save_file(random_state(), path, metadata)
    with pytest.raises(InputError, match="no 'architecture' in the file's metadata"):
        load_network(path)


def test_networks_are_stacked_in_the_order_given(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{seed}.safetensors", seed=seed) for seed in (2, 0, 1)]
    stacked = stack_states(paths)
    for name in random_state():
        expected = np.stack([random_state(seed)[name] for seed in (2, 0, 1)])
        np.testing.assert_array_equal(stacked[name], expected)


def test_columns_are_those_of_the_flattened_row(tmp_path: Path) -> None:
    layout = architecture_of().layout
    path = written(tmp_path / "a.safetensors")
    row = row_of(random_state(), layout)
    for start in range(layout.size):
        for stop in range(start + 1, layout.size + 1):
            np.testing.assert_array_equal(read_columns(path, layout, slice(start, stop)), row[start:stop])


def test_columns_of_convolution_kernels_are_those_of_the_flattened_row(tmp_path: Path) -> None:
    layout = Layout.of({"conv.weight": (3, 2, 2, 2), "conv.bias": (3,)})
    draws = np.random.default_rng(0)
    state = {e.name: draws.normal(size=e.shape).astype(np.float32) for e in layout.entries}
    save_network(tmp_path / "a.safetensors", state, {})
    row = row_of(state, layout)
    for start in range(layout.size):
        for stop in range(start + 1, layout.size + 1):
            found = read_columns(tmp_path / "a.safetensors", layout, slice(start, stop))
            np.testing.assert_array_equal(found, row[start:stop])


def test_columns_follow_the_layout_and_not_the_file(tmp_path: Path) -> None:
    entries = architecture_of().layout.entries
    layout = Layout.of({e.name: e.shape for e in reversed(entries)})
    found = read_columns(written(tmp_path / "a.safetensors"), layout, slice(0, layout.size))
    np.testing.assert_array_equal(found, row_of(random_state(), layout))


def test_columns_of_a_file_with_other_shapes_are_an_input_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors")
    layout = build(MLPConfig(widths=[3, 5, 2])).layout
    with pytest.raises(InputError, match=r"layers.0.weight has shape \(4, 3\), expected \(5, 3\)"):
        read_columns(path, layout, slice(0, layout.size))


def test_columns_of_a_file_without_a_parameter_are_an_input_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors")
    layout = build(MLPConfig(widths=[3, 4, 2, 2])).layout
    with pytest.raises(InputError, match=r"layers\.2"):
        read_columns(path, layout, slice(0, layout.size))


@pytest.mark.parametrize("kept", [0, 40, -1])
def test_columns_of_a_truncated_file_are_an_input_error(tmp_path: Path, kept: int) -> None:
    path = written(tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="may be truncated"):
        read_columns(path, architecture_of().layout, slice(0, 5))


def test_columns_of_a_missing_file_are_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_columns(tmp_path / "nowhere.safetensors", architecture_of().layout, slice(0, 5))


@pytest.mark.parametrize("widths", [[1], [3, 7, 1], [29]], ids=str)
def test_a_file_written_row_by_row_is_a_network_with_its_digest(tmp_path: Path, widths: list[int]) -> None:
    path, layout = tmp_path / "a.safetensors", architecture_of().layout
    row = np.random.default_rng(0).standard_normal(layout.size).astype(np.float32)
    file, start = NetworkFile(path, layout, architecture_of().config.model_dump()), 0
    while start < layout.size:
        for width in widths:
            file.append(row[start : start + width])
            start += width
    assert file.digest.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(read_columns(path, layout, slice(0, layout.size)), row)
    state = load_network(path).state_dict()
    np.testing.assert_array_equal(torch.cat([state[e.name].flatten() for e in layout.entries]).numpy(), row)


def test_buffers_are_written_beside_the_row_and_told_apart(tmp_path: Path) -> None:
    config = ResNetConfig(kind="resnet20", width_multiplier=0.1, image_size=8, classes=3)
    architecture = build(config)
    state = architecture.initial_state("default", torch.Generator().manual_seed(0))
    state["bn1.running_mean"] += 3
    state["bn1.num_batches_tracked"] += 7
    arrays = {name: value.numpy() for name, value in state.items()}
    buffers = {name: arrays[name] for name in architecture.buffers}
    save_network(tmp_path / "a.safetensors", arrays, config.model_dump(), buffers)
    layout = describe(tmp_path / "a.safetensors").layout
    row = read_columns(tmp_path / "a.safetensors", layout, slice(0, layout.size))
    NetworkFile(tmp_path / "b.safetensors", layout, config.model_dump(), buffers).append(row)
    for name in "ab":
        path = tmp_path / f"{name}.safetensors"
        assert set(describe(path).buffers) == set(architecture.buffers)
        assert describe(path).layout.size == config.n_parameters
        network = load_network(path)
        assert network.bn1.num_batches_tracked == 7
        for key, value in network.state_dict().items():
            assert torch.equal(value, state[key])
    found = stack_arrays([path, path], ["bn1.running_mean"])["bn1.running_mean"]
    np.testing.assert_array_equal(found, np.full((2, 2), 3.0))
