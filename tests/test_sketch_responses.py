"""Sketches are of what training networks respond to the probes, whatever the number of jobs."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from probed_zoo import ARCHITECTURE, HELD_OUT, LAYERS, NETWORKS, PROBING, ProbedZoo

from dwf_steps.config.representation import Probing
from dwf_steps.representation import loading
from dwf_steps.representation.sketch import test_matrix as random_matrix
from dwf_steps.runtime.errors import InputError
from dwf_steps.sketch_responses import SketchResponses, sketch_responses
from dwf_steps.storage.matrix import WeightMatrix

TRAINING = list(NETWORKS.values())[:-HELD_OUT]
LAST = LAYERS[1]
FEW = 4  # functions: the sketch is no longer square


def sketched_products(zoo: ProbedZoo) -> np.ndarray:
    """Return the products of the last layer's sketch, all parts added up."""
    products: np.ndarray = sum(np.load(path)[LAST] for path in zoo.sketches)
    return products


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("group_bytes", [1, 2**20])
def test_parts_add_up_to_the_gram_matrix_of_all_responses_times_a_random_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int, group_bytes: int
) -> None:
    monkeypatch.setattr(loading, "GROUP_BYTES", group_bytes)
    zoo = ProbedZoo(tmp_path, FEW, parts).begin().sketched()
    gram = sum(z @ z.T for z in (zoo.responses(state)[LAST] for state in TRAINING))
    expected = gram @ random_matrix(30, FEW, LAST, PROBING.seed).numpy()
    np.testing.assert_allclose(sketched_products(zoo), expected, rtol=1e-4, atol=1e-3)


def test_held_out_networks_are_never_seen(tmp_path: Path) -> None:
    others = dict(NETWORKS)
    for name in list(others)[-HELD_OUT:]:
        others[name] = {key: 5 * array + 1 for key, array in others[name].items()}
    found = []
    for name, networks in (("one", NETWORKS), ("other", others)):
        (tmp_path / name).mkdir()
        found.append(sketched_products(ProbedZoo(tmp_path / name).begin(networks).sketched()))
    np.testing.assert_array_equal(*found)


def test_a_layer_that_reads_data_needs_no_sketch(tmp_path: Path) -> None:
    zoo = ProbedZoo(tmp_path).begin().sketched()
    assert set(np.load(zoo.sketches[0]).files) == {LAST}


def test_responses_that_are_not_finite_are_named(tmp_path: Path) -> None:
    networks = dict(NETWORKS)
    networks["net-1"] = {name: array * 1e14 for name, array in networks["net-1"].items()}
    zoo = ProbedZoo(tmp_path).begin(networks)
    matrix = WeightMatrix.open(zoo.weights)
    block = matrix.read()
    block[1] *= 1e10  # as if a network had passed that no computation bears
    zarr.open_array(zoo.weights, mode="r+")[:, :] = block
    with pytest.raises(InputError, match=r"layers\.1\.responses: net-1 responds nan"):
        zoo.sketched()
    assert not zoo.sketches[0].exists()


def test_more_probes_than_training_examples_are_refused(tmp_path: Path) -> None:
    zoo = ProbedZoo(tmp_path).begin()
    probing = Probing(probes=150, positions=4, seed=0)
    settings = SketchResponses(architecture=ARCHITECTURE, probing=probing, functions=5, part=0, parts=1)
    with pytest.raises(InputError, match=r"probes: found 150, but the data have 108 training examples"):
        sketch_responses(settings, zoo.weights, zoo.data, zoo.sketches[0])
