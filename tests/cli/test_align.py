"""A network aligned to another has the same function and lies where matching can bring it."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_zoo import ARCHITECTURE, State, hidden_units, iris, log_probabilities, random_networks

from dwf_steps.cli.align import align, main
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.networks import load_state, read_metadata

ONE, OTHER = random_networks(2).values()


def save(path: Path, state: State) -> Path:
    torch.save({key: torch.from_numpy(array) for key, array in state.items()}, path)
    return path


def in_order(state: State, order: list[int]) -> State:
    return {
        "layers.0.weight": state["layers.0.weight"][order],
        "layers.0.bias": state["layers.0.bias"][order],
        "layers.1.weight": state["layers.1.weight"][:, order],
        "layers.1.bias": state["layers.1.bias"],
    }


def distance(one: State, other: State) -> float:
    return float(np.sqrt(sum(np.square(one[key] - other[key].astype(float)).sum() for key in one)))


def test_with_one_hidden_layer_no_order_is_closer(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{name}.pt", state) for name, state in (("a", ONE), ("b", OTHER))]
    output = tmp_path / "c.safetensors"
    found = align(*paths, ARCHITECTURE, output)
    assert found.before == pytest.approx(distance(ONE, OTHER))
    best = min(distance(in_order(OTHER, list(order)), ONE) for order in permutations(range(5)))
    assert found.after == pytest.approx(best)
    written = load_state(output)
    assert distance(written, ONE) == pytest.approx(best)
    inputs = np.random.default_rng(0).normal(size=(20, 4))
    assert sorted(hidden_units(written, inputs)[0]) == sorted(hidden_units(OTHER, inputs)[0])
    np.testing.assert_allclose(log_probabilities(written, inputs), log_probabilities(OTHER, inputs))
    assert found.function_change <= 1e-12
    assert "architecture" in read_metadata(output)


def test_the_command_states_distances_and_the_change_of_the_function(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Units may be matched by their responses to the data."""
    reference = save(tmp_path / "a.pt", ONE)
    moved = save(tmp_path / "b.pt", in_order(ONE, [2, 0, 1, 4, 3]))
    method = "[{method: activation_matching, probes: 50}]"
    main(
        [
            *(str(reference), str(moved), "-o", str(tmp_path / "c.safetensors")),
            *("--architecture", "{widths: [4, 5, 3]}", "--canonicalization", method),
            *("--data", str(iris(tmp_path))),
        ]
    )
    printed = capsys.readouterr().out
    assert f"{distance(in_order(ONE, [2, 0, 1, 4, 3]), ONE):.4g} before, 0 after" in printed
    assert "largest change of an output on training inputs: " in printed


def test_what_cannot_be_aligned_is_refused(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{name}.pt", state) for name, state in (("a", ONE), ("b", OTHER))]
    with pytest.raises(InputError, match="states no symmetry"):
        align(*paths, ARCHITECTURE, canonicalization=[])
    with pytest.raises(InputError, match="is no safetensors file"):
        align(*paths, ARCHITECTURE, tmp_path / "c.pt")
    with pytest.raises(InputError, match=r"gone\.pt: no such file"):
        align(paths[0], tmp_path / "gone.pt", ARCHITECTURE)
