"""The basis is that of the leading responses of all training networks."""

from pathlib import Path

import numpy as np
import pytest
from probed_zoo import ARCHITECTURE, HELD_OUT, LAYERS, NETWORKS, PROBING, ProbedZoo
from tiny_zoo import damage

from dwf_steps.runtime.errors import InputError
from dwf_steps.solve_responses import SolveResponses, solve_responses
from dwf_steps.stack_responses import read_layout

TRAINING = list(NETWORKS.values())[:-HELD_OUT]
FIRST, LAST = LAYERS


def projection(columns: np.ndarray) -> np.ndarray:
    return columns @ columns.T


@pytest.mark.parametrize("functions", [10, 15])
def test_functions_are_the_leading_eigenvectors_of_the_gram_matrix_over_training_networks(
    tmp_path: Path, functions: int
) -> None:
    zoo = ProbedZoo(tmp_path, functions).begin().sketched().solved()
    responses = [zoo.responses(state)[LAST] for state in TRAINING]
    values, vectors = np.linalg.eigh(sum(z @ z.T for z in responses))
    assert values[-functions] > 1.01 * values[-functions - 1] > 1e-3
    found = np.load(zoo.basis)[LAST]
    np.testing.assert_allclose(found.T @ found, np.eye(functions), atol=1e-9)
    np.testing.assert_allclose(projection(found), projection(vectors[:, -functions:]), atol=1e-4)


def test_functions_of_a_layer_that_reads_data_span_all_that_it_can_respond(tmp_path: Path) -> None:
    zoo = ProbedZoo(tmp_path).begin().sketched().solved()
    found = np.load(zoo.basis)[FIRST]
    assert found.shape == (30, 5)  # four features and a constant
    inputs = np.column_stack([zoo.probes, np.ones(30)])
    np.testing.assert_allclose(projection(found) @ inputs, inputs, atol=1e-6)


def test_the_layout_has_functions_for_every_unit_in_execution_order(tmp_path: Path) -> None:
    zoo = ProbedZoo(tmp_path, 10).begin().sketched().solved()
    layout = read_layout(zoo.basis)
    assert [(entry.name, entry.shape) for entry in layout.entries] == [(FIRST, (5, 5)), (LAST, (3, 10))]


def test_a_damaged_sketch_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    zoo = ProbedZoo(tmp_path).begin().sketched()
    damage(zoo.sketches[1])
    settings = SolveResponses(architecture=ARCHITECTURE, probing=PROBING, functions=zoo.functions)
    with pytest.raises(InputError, match=r"part-1\.npz: not the arrays that were written"):
        solve_responses(settings, zoo.sketches, zoo.weights, zoo.data, zoo.basis)
    assert not zoo.basis.exists()
