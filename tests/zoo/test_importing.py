"""Imported networks are exactly those in the files, or every problem is named."""

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.runtime.errors import InputError
from dwf_steps.zoo.importing import import_networks

STATE = build(MLPConfig(widths=[3, 4, 2])).module().state_dict()
SUFFIXES = [".safetensors", ".pt", ".pth"]
State = dict[str, Tensor]


def random_state(seed: int = 0) -> State:
    draws = torch.Generator().manual_seed(seed)
    return {name: torch.randn(value.shape, generator=draws) for name, value in STATE.items()}


def written(path: Path, state: State | None = None) -> Path:
    content = random_state() if state is None else state
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return path


def imported(paths: list[Path], keys: dict[str, str] | None = None) -> dict[str, np.ndarray]:
    return import_networks(paths, {name: value.numpy() for name, value in STATE.items()}, keys or {})


def complaint(paths: list[Path], keys: dict[str, str] | None = None) -> str:
    with pytest.raises(InputError, match="the zoo cannot be imported; nothing was written") as caught:
        imported(paths, keys)
    return str(caught.value)


class Bomb:
    """An object whose unpickling leaves a file behind."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("suffixes", [[".safetensors"], [".pt"], [".pth"], SUFFIXES])
def test_networks_are_stacked_as_they_are_in_the_files(tmp_path: Path, suffixes: list[str]) -> None:
    paths = [
        written(tmp_path / f"net-{i}{suffixes[i % len(suffixes)]}", random_state(seed=i)) for i in range(4)
    ]
    networks = imported(paths)
    assert list(networks) == list(STATE)
    for name, array in networks.items():
        assert array.dtype == np.float32
        expected = np.stack([random_state(seed=i)[name].numpy() for i in range(4)])
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_state_dict_of_a_module_can_be_imported(tmp_path: Path, suffix: str) -> None:
    module = build(MLPConfig(widths=[3, 4, 2])).module()
    networks = imported([written(tmp_path / f"a{suffix}", module.state_dict())])
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(networks[name][0], value.numpy())


def test_parameters_that_want_gradients_can_be_imported(tmp_path: Path) -> None:
    module = build(MLPConfig(widths=[3, 4, 2])).module()
    networks = imported([written(tmp_path / "a.pt", dict(module.named_parameters()))])
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(networks[name][0], value.numpy())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="saving on a GPU needs a GPU")
def test_networks_saved_on_a_gpu_can_be_imported(tmp_path: Path) -> None:
    state = {name: value.cuda() for name, value in random_state().items()}
    networks = imported([written(tmp_path / "a.pt", state)])
    for name, value in random_state().items():
        np.testing.assert_array_equal(networks[name][0], value.numpy())


def test_files_in_pytorchs_old_format_can_be_imported(tmp_path: Path) -> None:
    torch.save(random_state(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    networks = imported([tmp_path / "old.pt"])
    for name, value in random_state().items():
        np.testing.assert_array_equal(networks[name][0], value.numpy())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_are_read_as_float32(tmp_path: Path, suffix: str, dtype: torch.dtype) -> None:
    state = {name: value.to(dtype) for name, value in random_state().items()}
    networks = imported([written(tmp_path / f"a{suffix}", state)])
    for name, value in state.items():
        np.testing.assert_array_equal(networks[name][0], value.float().numpy())


def renamed(state: State, names: dict[str, str]) -> State:
    return {
        next((new + key[len(old) :] for old, new in names.items() if key.startswith(old)), key): value
        for key, value in state.items()
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_keys_rename_the_beginnings_of_the_files_keys(tmp_path: Path, suffix: str) -> None:
    state = renamed(random_state(), {"layers.0": "fc1", "layers.1": "head"})
    assert set(state) == {"fc1.weight", "fc1.bias", "head.weight", "head.bias"}
    path = written(tmp_path / f"a{suffix}", state)
    networks = imported([path], {"fc1": "layers.0", "head": "layers.1"})
    for name, value in random_state().items():
        np.testing.assert_array_equal(networks[name][0], value.numpy())


def test_keys_rename_whole_keys_too(tmp_path: Path) -> None:
    state = renamed(random_state(), {"layers.0.bias": "b0"})
    networks = imported([written(tmp_path / "a.pt", state)], {"b0": "layers.0.bias"})
    np.testing.assert_array_equal(networks["layers.0.bias"][0], random_state()["layers.0.bias"].numpy())


def test_keys_do_not_rename_parts_of_words(tmp_path: Path) -> None:
    state = renamed(random_state(), {"layers.0": "fc", "layers.1": "fc1"})
    path = written(tmp_path / "a.pt", state)
    networks = imported([path], {"fc": "layers.0", "fc1": "layers.1"})
    for name, value in random_state().items():
        np.testing.assert_array_equal(networks[name][0], value.numpy())


def test_keys_can_drop_the_beginnings_of_the_files_keys(tmp_path: Path) -> None:
    state = renamed(random_state(), {"layers": "module.layers"})
    networks = imported([written(tmp_path / "a.pt", state)], {"module.layers": "layers"})
    np.testing.assert_array_equal(networks["layers.1.bias"][0], random_state()["layers.1.bias"].numpy())


def test_two_keys_that_become_one_are_a_problem(tmp_path: Path) -> None:
    state = {**random_state(), "old.weight": random_state(seed=1)["layers.0.weight"]}
    assert "layers.0.weight" in complaint([written(tmp_path / "a.pt", state)], {"old": "layers.0"})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_and_extra_keys_are_named(tmp_path: Path, suffix: str) -> None:
    state = renamed(random_state(), {"layers.0": "fc1"})
    path = written(tmp_path / f"a{suffix}", state)
    expected = (
        f"{path}: keys do not fit the architecture: missing ['layers.0.bias', 'layers.0.weight'], "
        "extra ['fc1.bias', 'fc1.weight']"
    )
    assert expected in complaint([path])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_wrong_shapes_are_named(tmp_path: Path, suffix: str) -> None:
    state = {**random_state(), "layers.0.weight": torch.zeros(3, 4)}
    path = written(tmp_path / f"a{suffix}", state)
    expected = f"{path}: layers.0.weight has shape (3, 4), the architecture expects (4, 3)"
    assert expected in complaint([path])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_not_finite_are_counted(tmp_path: Path, suffix: str, bad: float) -> None:
    state = random_state()
    state["layers.1.weight"][0, 1:3] = bad
    path = written(tmp_path / f"a{suffix}", state)
    assert f"{path}: layers.1.weight has 2 weights that are NaN or infinite" in complaint([path])


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_beyond_float32_are_not_finite(tmp_path: Path, suffix: str) -> None:
    state = {name: value.double() for name, value in random_state().items()}
    state["layers.0.bias"][2] = 1e300
    path = written(tmp_path / f"a{suffix}", state)
    assert f"{path}: layers.0.bias has 1 weights that are NaN or infinite" in complaint([path])


def test_the_same_network_twice_is_a_problem(tmp_path: Path) -> None:
    first, other = written(tmp_path / "a.pt"), written(tmp_path / "b.pt", random_state(seed=1))
    again = written(tmp_path / "c.safetensors")
    assert f"{again}: the same network as {first}; remove one of the two" in complaint([first, other, again])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0, 1, 10, 100, -1])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str, kept: int) -> None:
    path = written(tmp_path / f"a{suffix}")
    path.write_bytes(path.read_bytes()[:kept])
    assert f"{path}: " in complaint([path])


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("eighths", range(8))
def test_a_large_truncated_file_is_named(tmp_path: Path, suffix: str, eighths: int) -> None:
    path = written(tmp_path / f"a{suffix}", {**random_state(), "large": torch.zeros(20_000)})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * eighths // 8])
    assert f"{path}: not a readable network file" in complaint([path])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_something_else_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"hello world, this is no network at all")
    assert f"{path}: " in complaint([path])


def test_a_truncated_file_in_pytorchs_old_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save(random_state(), path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    for kept in range(0, len(content), 20):
        path.write_bytes(content[:kept])
        assert f"{path}: " in complaint([path])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_is_named(tmp_path: Path, suffix: str) -> None:
    assert f"{tmp_path / f'a{suffix}'}: no such file" in complaint([tmp_path / f"a{suffix}"])


@pytest.mark.parametrize("with_torch", [False, True])
def test_a_pickled_object_is_refused_and_never_run(tmp_path: Path, with_torch: bool) -> None:
    target, path = tmp_path / "exploded", tmp_path / "a.pt"
    content = {**random_state(), "bomb": Bomb(target)}
    if with_torch:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    message = complaint([path])
    assert f"{path}: " in message
    assert not target.exists()


def test_a_whole_pickled_module_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save(build(MLPConfig(widths=[3, 4, 2])).module(), path)
    message = complaint([path])
    assert f"{path}: holds objects other than tensors, which are never unpickled" in message
    assert "torch.save(model.state_dict(), ...)" in message


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_state_dict_is_named(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a{suffix}", {})
    assert f"{path}: keys do not fit the architecture: missing ['layers.0.bias'" in complaint([path])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (torch.zeros(3), "Tensor"),
        ([torch.zeros(3)], "list"),
        ({"epoch": 3}, "dict"),
    ],
    ids=["tensor", "list", "number"],
)
def test_a_file_without_a_state_dict_is_named(tmp_path: Path, content: object, kind: str) -> None:
    path = tmp_path / "a.pt"
    torch.save(content, path)
    assert f"{path}: expected a state dict (name -> tensor), found {kind}" in complaint([path])


@pytest.mark.parametrize("keys", [{}, {"fc": "layers.0"}])
def test_keys_that_are_no_text_are_a_problem(tmp_path: Path, keys: dict[str, str]) -> None:
    path = tmp_path / "a.pt"
    torch.save({0: torch.zeros(3)}, path)
    assert f"{path}: " in complaint([path], keys)


def test_all_bad_files_are_listed_at_once(tmp_path: Path) -> None:
    good = written(tmp_path / "good.pt")
    shape = written(tmp_path / "shape.pt", {**random_state(1), "layers.0.bias": torch.zeros(9)})
    nan = written(tmp_path / "nan.pt", {**random_state(2), "layers.0.bias": torch.full((4,), torch.nan)})
    keys = written(tmp_path / "keys.safetensors", {"a": torch.zeros(1)})
    short = written(tmp_path / "short.safetensors")
    short.write_bytes(short.read_bytes()[:50])
    missing = tmp_path / "missing.pt"
    message = complaint([good, shape, nan, keys, short, missing])
    assert re.findall(r"^  - (\S+): ", message, re.MULTILINE) == [
        str(path) for path in (shape, nan, keys, short, missing)
    ]


def test_a_long_list_of_problems_is_cut_and_counted(tmp_path: Path) -> None:
    message = complaint([tmp_path / f"{i}.pt" for i in range(25)])
    assert message.count("no such file") == 20
    assert message.endswith("... and 5 more")


def test_a_beginning_of_keys_can_be_stripped(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in random_state().items()}
    networks = imported([written(tmp_path / "a.pt", state)], {"module": ""})
    for name, value in random_state().items():
        np.testing.assert_array_equal(networks[name][0], value.numpy())


def quantized(value: Tensor) -> Tensor:
    return torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda value: value.to(torch.complex64), "a complex tensor (torch.complex64)"),
        (Tensor.to_sparse, "a sparse_coo tensor"),
        (quantized, "a quantized tensor (torch.qint8)"),
        (lambda value: value.to("meta"), "a tensor without values (device meta)"),
    ],
    ids=["complex", "sparse", "quantized", "meta"],
)
def test_tensors_without_plain_numbers_are_a_problem(
    tmp_path: Path, change: Callable[[Tensor], Tensor], kind: str
) -> None:
    state = {**random_state(), "layers.0.weight": change(random_state()["layers.0.weight"])}
    path = written(tmp_path / "a.pt", state)
    assert f"{path}: layers.0.weight is {kind}, expected a dense tensor" in complaint([path])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool])
def test_weights_of_integers_are_a_problem(tmp_path: Path, suffix: str, dtype: torch.dtype) -> None:
    state = {**random_state(), "layers.0.bias": torch.ones(4, dtype=dtype)}
    found = str(dtype).removeprefix("torch.")
    path = written(tmp_path / f"a{suffix}", state)
    expected = f"{path}: layers.0.bias is {found}, the architecture expects float32"
    assert expected in complaint([path])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_finite_weights_that_no_distance_can_be_computed_with_are_a_problem(
    tmp_path: Path, suffix: str
) -> None:
    state = random_state()
    state["layers.1.weight"][1, 2] = -3e21
    path = written(tmp_path / f"a{suffix}", state)
    expected = f"{path}: layers.1.weight has a weight of size 3.0e+21, expected 1e+15 at most"
    assert expected in complaint([path])
    state["layers.1.weight"][1, 2] = 1e15
    imported([written(path, state)])


def test_what_is_no_tensor_is_named_with_its_key(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pt", {**random_state(), "epoch": 3})  # type: ignore[dict-item]
    expected = f"{path}: expected a state dict (name -> tensor), found dict with 'epoch' -> int"
    assert expected in complaint([path])
