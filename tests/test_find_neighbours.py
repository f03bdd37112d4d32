"""The zoo's nearest neighbours in a representation are found once for all its generators."""

from pathlib import Path

import numpy as np
import pytest
from probed_zoo import HELD_OUT, NETWORKS, ProbedZoo
from scipy.spatial.distance import cdist
from tiny_zoo import command

from dwf_steps.accumulate_gram import AccumulateGram, accumulate_gram
from dwf_steps.find_neighbours import FindNeighbours, find_neighbours, main
from dwf_steps.metrics import neighbours
from dwf_steps.metrics.neighbours import Neighbours
from dwf_steps.storage.arrays import load_record
from dwf_steps.storage.matrix import WeightMatrix

N = len(NETWORKS) - HELD_OUT
PARTS = 2


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> ProbedZoo:
    found = ProbedZoo(tmp_path_factory.mktemp("zoo")).begin().sketched().solved().encoded().stacked()
    for part, path in enumerate(gram(found)):
        accumulate_gram(AccumulateGram(part=part, parts=PARTS), found.matrix, path)
    return found


def gram(zoo: ProbedZoo) -> list[Path]:
    return [zoo.folder / f"gram/part-{part}.npz" for part in range(PARTS)]


def apart(zoo: ProbedZoo) -> np.ndarray:
    """Return distances (n + h, n) to training networks, infinite to oneself."""
    rows = WeightMatrix.open(zoo.matrix).read().astype(float)
    distances = cdist(rows, rows[:N])
    np.fill_diagonal(distances, np.inf)
    return np.asarray(distances)


def test_distances_are_to_the_nearest_other_training_network(zoo: ProbedZoo, tmp_path: Path) -> None:
    find_neighbours(FindNeighbours(seed=0), gram(zoo), zoo.matrix, tmp_path / "neighbours.npz")
    found = load_record(tmp_path / "neighbours.npz", Neighbours)
    np.testing.assert_allclose(found.distances, apart(zoo).min(axis=1), rtol=1e-5)
    assert found.cells.tolist() == [0] * len(NETWORKS), "two held-out networks are too few for more cells"


def test_held_out_networks_belong_to_the_cell_of_their_nearest_training_network(
    zoo: ProbedZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "cell_count", lambda held_out: 1 + held_out)
    find_neighbours(FindNeighbours(seed=0), gram(zoo), zoo.matrix, tmp_path / "neighbours.npz")
    cells = load_record(tmp_path / "neighbours.npz", Neighbours).cells
    distances = apart(zoo)
    np.testing.assert_array_equal(cells[N:], cells[distances[N:].argmin(axis=1)])
    assert set(cells) == {0, 1, 2}
    # Lloyd's algorithm has come to rest: every training network is nearest to its own cell's mean.
    rows = WeightMatrix.open(zoo.matrix).read().astype(float)[:N]
    means = np.stack([rows[cells[:N] == cell].mean(axis=0) for cell in range(3)])
    np.testing.assert_array_equal(cdist(rows, means).argmin(axis=1), cells[:N])


def test_the_command_line_writes_what_the_function_does(
    zoo: ProbedZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "settings": FindNeighbours(seed=0).to_argument(),
        "gram": zoo.folder / "gram/part-[0..1].npz",
        "matrix": zoo.matrix,
        "output": tmp_path / "commanded.npz",
    }
    command(monkeypatch, main, *(part for name, value in options.items() for part in (f"--{name}", value)))
    find_neighbours(FindNeighbours(seed=0), gram(zoo), zoo.matrix, tmp_path / "called.npz")
    assert (tmp_path / "commanded.npz").read_bytes() == (tmp_path / "called.npz").read_bytes()
