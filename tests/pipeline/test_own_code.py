"""Mistakes in code that a configuration names are told before work starts, with the key's full path."""

from pathlib import Path
from typing import Any

import pytest
from small_config import small_config

from dwf_steps.pipeline.load import load_config
from dwf_steps.runtime.errors import InputError


def config(**architecture: Any) -> dict[str, Any]:
    """Return a configuration with modules of the user's own, or with perceptrons."""
    raw = small_config()
    if architecture:
        raw["zoos"]["iris"]["architecture"] = {"shape": [4], "classes": 3, **architecture}
    return raw


def complaint(raw: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        load_config(raw)
    return str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (
            {"import": "subprocess:getoutput"},
            "architecture.import: subprocess:getoutput is part of Python's stand",
        ),
        (
            {"import": "mistaken_networks:Gone"},
            "architecture.import: mistaken_networks:Gone cannot be imported",
        ),
        ({"import": "mistaken_networks:RIGHT"}, "architecture.import: mistaken_networks:RIGHT is the dict"),
        (
            {"import": "mistaken_networks:Perceptron", "kwargs": {"widht": 3}},
            "architecture: mistaken_networks:Perceptron: calling it with (widht=3) failed (TypeError:",
        ),
        (
            {"import": "mistaken_networks:Perceptron", "kwargs": {"change": {"a.bias": "left out"}}},
            "architecture: mistaken_networks:Perceptron: permutation_spec: lacks a.bias",
        ),
        (
            {"import": "random_networks:drop_path"},
            "architecture: random_networks:drop_path: draws random numbers while training, in 1.1 (DropPath)",
        ),
    ],
)
def test_a_module_that_cannot_be_used_is_one_problem(architecture: dict[str, Any], message: str) -> None:
    told = complaint(config(**architecture))
    assert told.startswith("the configuration has 1 problem:\n  - zoos.iris." + message)
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (
            "one_number",
            "returned a tensor of shape () for outputs (2, 3, 3) and targets (3,), expected a loss",
        ),
        ("no_gradient", "returned a tensor of shape (2,), which does not depend on the outputs for"),
        ("no_tensor", "returned 0.5 for outputs"),
        ("failing", "fails on outputs (2, 3, 3) and targets (3,) (RuntimeError:"),
        ("other_arguments", "fails on outputs (2, 3, 3) and targets (3,) (TypeError:"),
        ("gone", "cannot be imported (AttributeError:"),
    ],
)
def test_an_objective_that_cannot_be_used_is_told_for_every_zoo(objective: str, message: str) -> None:
    raw = config()
    target = f"own_objectives:{objective}"
    raw["generators"]["flow"]["sampling"] = {"guidance": {"objective": target}}
    lines = complaint(raw).splitlines()[1:]
    key = "generators.flow.sampling.guidance.objective"
    assert any(line.startswith(f"  - {key}: {target} {message}") for line in lines)
    assert all(line.startswith(f"  - {key}: ") for line in lines)


def test_an_objective_that_can_be_used_is_no_problem() -> None:
    raw = config()
    raw["generators"]["flow"]["sampling"] = {"guidance": {"objective": "own_objectives:confident"}}
    assert load_config(raw).generators["flow"].sampling.guidance is not None


def imported(raw: dict[str, Any], pattern: Any, **more: Any) -> dict[str, Any]:
    architecture = {"widths": [4, 2, 3]}
    raw["zoos"]["iris"] = {"import": pattern, "dataset": "iris", "architecture": architecture, **more}
    return raw


def test_one_imported_network_is_not_blamed_on_what_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "a.pt").touch()
    told = complaint(imported(config(), str(tmp_path)))
    assert "zoos.iris.import: found 1 network ('a'), expected 2 at least" in told
    assert "held_out: " not in told
    for name in ("b.pt", "c.pt"):
        (tmp_path / name).touch()
    told = complaint(imported(config(), str(tmp_path), held_out=2))
    assert "zoos.iris.held_out: 2 of 3 networks held out leaves 1 to work with" in told


def test_names_that_a_copy_cannot_have_are_refused_with_the_key(tmp_path: Path) -> None:
    (tmp_path / f"{'é' * 122}.pt").touch()
    told = complaint(imported(config(), str(tmp_path)))
    assert "zoos.iris.import: the name " in told and "has 244 bytes, at most 243" in told


def test_names_that_are_not_utf_8_are_refused_with_the_key(tmp_path: Path) -> None:
    (tmp_path / "gr\udcf6n.pt").touch()
    told = complaint(imported(config(), str(tmp_path)))
    assert "zoos.iris.import: the path " in told and "is not UTF-8; rename the file" in told
    assert told.encode()


@pytest.mark.parametrize("pattern", ["**x", "a\0b", "~/nothing", "["])
def test_what_is_no_pattern_matches_nothing(pattern: str) -> None:
    told = complaint(imported(config(), pattern))
    assert f"zoos.iris.import: no .safetensors or .pt file matches {pattern!r}" in told


def test_imported_checkpoints_of_one_training_are_no_zoo(tmp_path: Path) -> None:
    for epoch in range(3):
        (tmp_path / f"epoch_{epoch}.pt").touch()
    told = complaint(imported(config(), f"{tmp_path}/epoch_{{epoch}}.pt"))
    assert "zoos.iris.import: found 1 training, of 3 networks, expected 2 at least" in told
    told = complaint(imported(config(), f"{tmp_path}/{{name}}_{{seed}}_{{epoch}}.pt"))
    assert "_{epoch}.pt' (relative to " in told and ", {seed}, {epoch} and {step} being numbers)" in told


def test_recorded_values_that_are_not_there_are_named_before_any_work(tmp_path: Path) -> None:
    for run in "abc":
        (tmp_path / run).mkdir()
        (tmp_path / run / "last.pt").touch()
    (tmp_path / "b/log.csv").touch()
    recorded = {"file": f"{tmp_path}/{{run}}/log.csv", "accuracy": "acc"}
    told = complaint(imported(config(), f"{tmp_path}/{{run}}/last.pt", recorded=recorded))
    assert f"zoos.iris.recorded.file: there is no file {tmp_path}/a/log.csv (relative to " in told
    assert "), nor 1 other; correct the path" in told


def test_files_that_differ_in_their_ending_alone_share_a_name(tmp_path: Path) -> None:
    for name in ("a.pt", "a.safetensors", "b.pt"):
        (tmp_path / name).touch()
    told = complaint(imported(config(), str(tmp_path)))
    assert "zoos.iris.import: several files share a name, even with the folders " in told
    assert told.count("differ: a; rename them") == 1
