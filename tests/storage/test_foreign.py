"""Networks are found wherever others' files hold them, under whatever keys, or it is said why not."""

import hashlib
import json
import logging
from argparse import Namespace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.network_files import NetworkFiles, matching_files, parts_of
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.foreign import ForeignNetwork, ForeignNetworks, network_sha256
from dwf_steps.storage.manifest import sha256

EXPECTED = {
    name: value.numpy() for name, value in build(MLPConfig(widths=[3, 4, 2])).module().state_dict().items()
}
State = dict[str, Tensor]


def random_state(seed: int = 0) -> State:
    draws = torch.Generator().manual_seed(seed)
    return {name: torch.randn(own.shape, generator=draws) for name, own in EXPECTED.items()}


def prefixed(prefix: str, seed: int = 0) -> State:
    return {prefix + name: value for name, value in random_state(seed).items()}


def read(path: Path, **settings: Any) -> list[ForeignNetwork]:
    return ForeignNetworks(NetworkFiles(**settings), EXPECTED).read(path)


def saved(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def assert_networks(networks: list[ForeignNetwork], *seeds: int) -> None:
    """Check that these are the networks of the seeds, in the architecture's order and types."""
    assert [network.problems for network in networks] == [()] * len(seeds)
    for network, seed in zip(networks, seeds, strict=True):
        assert network.state is not None and list(network.state) == list(EXPECTED)
        for name, value in random_state(seed).items():
            assert network.state[name].dtype == np.float32
            np.testing.assert_array_equal(network.state[name], value.numpy())


def problem(path: Path, **settings: Any) -> str:
    """Return the one problem of a file, as a whole or of its only network."""
    try:
        (network,) = read(path, **settings)
    except InputError as error:
        return str(error)
    assert network.state is None
    (only,) = network.problems
    return only


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "_orig_mod.", "model._orig_mod.", "_orig_mod.module."]
)
def test_what_wrappers_put_before_keys_is_stripped_with_a_line_in_the_log(
    tmp_path: Path, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reader = ForeignNetworks(NetworkFiles(), EXPECTED)
    for seed in range(3):
        assert_networks(reader.read(saved(tmp_path / f"{seed}.pt", prefixed(prefix, seed))), seed)
    parts = {f"{part}." for part in prefix.strip(".").split(".")}
    said = [next(part for part in parts if repr(part) in line) for line in caplog.messages]
    assert sorted(said) == sorted(parts)


def test_what_wrappers_of_parts_put_inside_keys_is_stripped(tmp_path: Path) -> None:
    state = {
        name.replace("layers.0.", "layers.0._orig_mod."): value for name, value in random_state().items()
    }
    assert "layers.0._orig_mod.weight" in state and "layers.1.weight" in state
    assert_networks(read(saved(tmp_path / "a.pt", state)), 0)


def test_nothing_is_stripped_of_an_architecture_whose_own_keys_begin_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    expected = {f"model.{name}": own for name, own in EXPECTED.items()}
    (network,) = ForeignNetworks(NetworkFiles(), expected).read(saved(tmp_path / "a.pt", prefixed("model.")))
    assert network.state is not None and list(network.state) == list(expected)
    assert caplog.messages == []


def test_keys_may_be_renamed_with_the_prefix_or_without(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", prefixed("module.net."))
    assert_networks(read(path, keys={"net": ""}), 0)
    assert_networks(read(path, keys={"module.net": ""}), 0)


def test_a_state_dict_in_a_checkpoint_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
    checkpoint = {"epoch": 3, "loss": torch.tensor(0.1), "optimizer": optimizer, "net": random_state()}
    assert_networks(read(saved(tmp_path / "a.pt", checkpoint)), 0)
    assert caplog.messages == ["files are checkpoints: the state dict under 'net' is read"]


def test_lightning_checkpoints_are_read_without_a_setting(tmp_path: Path) -> None:
    checkpoint = {
        "epoch": 4,
        "global_step": 400,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": prefixed("model."),
        "loops": {},
        "hyper_parameters": {"lr": 0.1},
    }
    assert_networks(read(saved(tmp_path / "epoch=4-step=400.ckpt", checkpoint)), 0)


class Settings:
    """An object that leaves a file behind when it is made, or made again."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __setstate__(self, state: dict[str, Path]) -> None:
        state["target"].touch()


def test_objects_beside_the_state_dict_are_left_out_and_never_made(tmp_path: Path) -> None:
    others = {"args": Settings(tmp_path / "made"), "namespace": Namespace(lr=0.1), "score": np.float64(0.5)}
    path = saved(tmp_path / "a.ckpt", others | {"state_dict": random_state()})
    with pytest.raises(UnpicklingError):
        torch.load(path, weights_only=True)
    assert_networks(read(path), 0)
    torch.load(path, weights_only=False)
    (tmp_path / "made").unlink()  # it would have been made
    assert_networks(read(saved(path, random_state() | others), drop=list(others)), 0)
    assert "found dict with 'args' -> LeftOut; " in problem(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("beside", [{}, {"epoch": 3, "lr": torch.tensor(0.1)}])
def test_networks_inside_objects_are_not_read(tmp_path: Path, beside: dict[str, Any]) -> None:
    path = saved(tmp_path / "a.pt", {"net": build(MLPConfig(widths=[3, 4, 2])).module()} | beside)
    assert problem(path).startswith(f"{path}: holds objects other than tensors, which are never unpickled")


def test_of_several_state_dicts_the_key_must_be_stated(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a.pt",
        {"net": random_state(0), "ema": {"shadow": random_state(1)}, "old": random_state(2)},
    )
    assert problem(path) == (
        f"{path}: found several state dicts, under 'net', 'old'; state with `state_dict` which one is the "
        "network"
    )
    assert_networks(read(path, state_dict="old"), 2)
    assert_networks(read(path, state_dict=["ema", "shadow"]), 1)
    assert problem(path, state_dict="model").startswith(
        f"{path}: nothing under 'model', found 'net', 'ema', 'old'"
    )


def test_keys_are_dropped_by_name_or_pattern(tmp_path: Path) -> None:
    extra = {"embeddings.position_ids": torch.arange(8), "epoch": 3, "layers.1.total_ops": torch.zeros(1)}
    path = saved(tmp_path / "a.pt", random_state() | extra)
    assert_networks(read(path, drop=["*position_ids", "epoch", "layers.{n}.total_ops"]), 0)
    assert "extra ['embeddings.position_ids']" in problem(path, drop=["epoch", "*.total_ops"])


def test_only_some_layers_are_read(tmp_path: Path) -> None:
    heads = {f"heads.{i}.weight": torch.randn(2, 2) for i in range(3)}
    path = saved(
        tmp_path / "a.pt", {f"module.{name}": value for name, value in (random_state() | heads).items()}
    )
    assert_networks(read(path, keep=["layers.*"]), 0)
    assert_networks(read(path, keep=["module.layers.*"]), 0)
    assert_networks(read(path, drop=["heads.*"]), 0)
    beside = {f"net.{name}": value for name, value in random_state().items()} | heads
    assert_networks(read(saved(tmp_path / "b.pt", beside), keep=["net.*"], keys={"net": ""}), 0)


def test_keys_are_renamed_by_patterns_after_their_beginnings(tmp_path: Path) -> None:
    state = {
        name.replace("layers.", "fc").replace("weight", "gamma").replace("bias", "beta"): value
        for name, value in random_state().items()
    }
    rename = {
        "fc{number}.{kind}": "layers.{number}.{kind}",
        "{layer}.gamma": "{layer}.weight",
        "{layer}.beta": "{layer}.bias",
    }
    assert_networks(
        read(
            saved(tmp_path / "a.pt", {f"bert.{k}": v for k, v in state.items()}),
            keys={"bert": ""},
            rename=rename,
        ),
        0,
    )


def test_a_pattern_cannot_use_a_name_that_it_does_not_read() -> None:
    with pytest.raises(
        ValidationError, match=r"'\{layer\}\.\{part\}' has \{part\}, which '\{layer\}\.gamma' does not have"
    ):
        NetworkFiles(rename={"{layer}.gamma": "{layer}.{part}"})


def test_extra_keys_are_called_what_the_file_calls_them(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", prefixed("net.") | {"net.other": torch.zeros(1)})
    assert "missing [], extra ['net.other']" in problem(path, keys={"net": ""})


@pytest.mark.parametrize(
    "kind", ["list", "tuple", "names", "stacked", "under a key", "each under a key", "both under keys"]
)
def test_a_file_may_hold_many_networks(tmp_path: Path, kind: str) -> None:
    states, settings = [prefixed("module.", seed) for seed in range(3)], {}
    content: Any = states
    if kind == "tuple":
        content = tuple(states)
    elif kind == "names":
        content = {f"net {i}": state for i, state in enumerate(states)}
    elif kind == "stacked":
        content = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    elif kind == "under a key":
        content, settings = {"models": states, "accuracies": [0.9, 0.8, 0.7]}, {"state_dict": "models"}
    elif kind == "each under a key":
        content, settings = (
            [{"seed": i, "net": s, "ema": s} for i, s in enumerate(states)],
            {"state_dict": "net"},
        )
    elif kind == "both under keys":
        content, settings = (
            {"models": [{"net": state} for state in states]},
            {"state_dict": ["models", "net"]},
        )
    networks = read(saved(tmp_path / "a.pt", content), networks_per_file=3, **settings)
    assert_networks(networks, 0, 1, 2)
    assert [network.where for network in networks] == [f"{tmp_path / 'a.pt'}, network {i}" for i in range(3)]


def test_another_number_of_networks_in_a_file_is_a_problem(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", [random_state(seed) for seed in range(3)])
    assert problem(path, networks_per_file=4) == (
        f"{path}: found 3 networks, expected 4 as `networks_per_file` states; correct it, or state with "
        "`state_dict` under which key they are"
    )
    beside = saved(
        tmp_path / "c.pt", {"models": [random_state(seed) for seed in range(3)], "accuracies": [1, 2, 3]}
    )
    assert f"{beside}: found 2 networks ('models', 'accuracies'), expected 3" in problem(
        beside, networks_per_file=3
    )
    assert problem(path).startswith(f"{path}: expected a state dict (name -> tensor), found list")
    path = saved(tmp_path / "b.pt", random_state())
    assert "found one state dict, in which layers.0.weight has shape (4, 3), expected 3" in problem(
        path, networks_per_file=3
    )


def test_one_bad_network_of_a_file_is_named_by_its_number(tmp_path: Path) -> None:
    states = [random_state(seed) for seed in range(3)]
    states[1]["layers.0.bias"][2] = torch.nan
    good, bad, other = read(path := saved(tmp_path / "a.pt", states), networks_per_file=3)
    assert_networks([good, other], 0, 2)
    assert bad.problems == (
        f"{path}, network 1: layers.0.bias has 1 weights that are NaN or infinite; leave this network out",
    )


@pytest.mark.parametrize("count", [None, 2])
def test_networks_may_be_vectors_of_all_their_parameters(tmp_path: Path, count: int | None) -> None:
    vectors = [torch.cat([value.flatten() for value in random_state(seed).values()]) for seed in range(2)]
    content = vectors[0] if count is None else torch.stack(vectors)
    networks = read(saved(tmp_path / "a.pt", content), flat=True, networks_per_file=count)
    assert_networks(networks, *range(count or 1))


def test_a_vector_of_another_length_is_a_problem(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", torch.zeros(25))
    assert problem(path, flat=True).startswith(
        f"{path}: expected one vector of the architecture's 26 parameters and buffers, found shape (25,)"
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_read_from_checkpoints_and_lists(
    tmp_path: Path, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    states = [{name: value.to(dtype) for name, value in random_state(seed).items()} for seed in range(2)]
    networks = read(saved(tmp_path / "a.pt", states), networks_per_file=2)
    assert caplog.messages == [f"files have weights of {dtype}, which are stored as torch.float32"]
    for network, state in zip(networks, states, strict=True):
        assert network.state is not None
        for name, value in state.items():
            np.testing.assert_array_equal(network.state[name], value.float().numpy())


def divided(folder: Path, seed: int = 0, ending: str = "safetensors") -> Path:
    """Write a network as `save_pretrained` does where it is large: two files and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    first = "pytorch_model" if ending == "bin" else "model"
    places = {}
    for number, layer in enumerate(("layers.0", "layers.1"), 1):
        part = {name: value for name, value in random_state(seed).items() if name.startswith(layer)}
        name = f"{first}-{number:05d}-of-00002.{ending}"
        if ending == "bin":
            torch.save(part, folder / name)
        else:
            save_file(part, folder / name)
        places |= dict.fromkeys(part, name)
    index = folder / f"{first}.{ending}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 104}, "weight_map": places}))
    return index


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_a_network_divided_over_files_is_read_by_its_index(tmp_path: Path, ending: str) -> None:
    index = divided(tmp_path, ending=ending)
    assert_networks(read(index), 0)
    assert [path.name.partition("-")[2][:5] for path in parts_of(index)[1:]] == ["00001", "00002"]


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_the_digest_of_a_divided_network_is_of_all_its_files(tmp_path: Path, ending: str) -> None:
    index = divided(tmp_path, ending=ending)
    digests = {network_sha256(index)}
    for path in parts_of(index):
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        digests.add(network_sha256(index))
        path.write_bytes(content)
    assert len(digests) == 4 and network_sha256(index) in digests
    alone = parts_of(index)[1]
    assert network_sha256(alone) == sha256(alone) == hashlib.sha256(alone.read_bytes()).hexdigest()


def test_an_index_without_all_its_files_is_named(tmp_path: Path) -> None:
    index = divided(tmp_path)
    save_file({"other": torch.zeros(1)}, tmp_path / "model-00002-of-00002.safetensors")
    assert f"{index}: names 2 keys that its files do not have, as 'layers.1." in problem(index)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    assert problem(index).endswith("model-00002-of-00002.safetensors: no such file")
    index.write_text("[]")
    assert f"{index}: not an index" in problem(index)
    assert parts_of(index) == [index]


def test_an_index_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    index = divided(tmp_path / "net")
    index.write_text(json.dumps({"weight_map": {"layers.0.weight": "../other.safetensors"}}))
    assert f"{index}: names the file '../other.safetensors', expected files beside it" in problem(index)


def test_a_folder_stands_for_the_networks_in_it(tmp_path: Path) -> None:
    for name in ("b.pt", "a.safetensors", "c.pth", "d.ckpt", "notes.txt", "optimizer.pt", ".hidden.pt"):
        (tmp_path / name).touch()
    index = divided(tmp_path)
    found = matching_files(str(tmp_path))
    assert [path.name for path in found] == ["a.safetensors", "b.pt", "c.pth", "d.ckpt", index.name]


def test_a_folder_of_pretrained_networks_stands_for_each_of_them(tmp_path: Path) -> None:
    folders = [tmp_path / f"net-{i}" for i in range(3)]
    indices = [divided(folder, i, "bin" if i == 2 else "safetensors") for i, folder in enumerate(folders)]
    for index in indices[:1]:  # the first fits into one file
        for part in parts_of(index):
            part.unlink()
        save_file(random_state(0), folders[0] / "model.safetensors")
        saved(folders[0] / "pytorch_model.bin", random_state(9))  # the same in another format
        saved(folders[0] / "training_args.bin", {})
    expected = [folders[0] / "model.safetensors", indices[1], indices[2]]
    assert set(matching_files(str(tmp_path))) == set(expected)
    assert set(matching_files(f"{tmp_path}/net-*")) == set(expected)
    assert [matching_files(str(folder)) for folder in folders] == [[path] for path in expected]
    for seed, path in enumerate(expected):
        assert_networks(read(path), seed)


def test_repositories_in_the_hubs_cache_are_networks(tmp_path: Path) -> None:
    paths = []
    for seed, commits in enumerate((["aaa"], ["bbb", "ccc"])):
        cached = tmp_path / f"models--me--net-{seed}"
        for commit in commits:
            folder = cached / "snapshots" / commit
            blob = cached / "blobs" / f"blob-{commit}"
            blob.parent.mkdir(parents=True, exist_ok=True)
            save_file(random_state(seed), blob)
            folder.mkdir(parents=True)
            (folder / "model.safetensors").symlink_to(blob)
        paths.append(cached / "snapshots" / commits[-1] / "model.safetensors")
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text("ccc")
    assert set(matching_files(str(tmp_path))) == set(paths)
    for seed, path in enumerate(paths):
        assert_networks(read(path), seed)
