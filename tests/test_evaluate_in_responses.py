"""Generated networks are compared with the zoo in the coordinates that their generator works in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from probed_zoo import ARCHITECTURE, HELD_OUT, NETWORKS, PROBING, ProbedZoo
from scipy.spatial.distance import cdist
from tiny_zoo import State, command, flat, random_networks, write_networks

from dwf_steps.accumulate_gram import AccumulateGram, accumulate_gram
from dwf_steps.evaluate import Evaluate, Represented, evaluate, main
from dwf_steps.evaluate_zoo import EvaluateZoo, evaluate_zoo
from dwf_steps.find_neighbours import FindNeighbours, find_neighbours
from dwf_steps.score import Score, score
from dwf_steps.solve_basis import SolveBasis, solve_basis
from dwf_steps.storage.csv_tables import read_csv
from dwf_steps.storage.matrix import WeightMatrix

N = len(NETWORKS) - HELD_OUT
OTHERS = {f"sample-{i}": state for i, state in enumerate(random_networks(4, seed=1).values())}
COPIES = {f"sample-{i}": NETWORKS[f"net-{i}"] for i in range(4)}
SUBSPACES: dict[str, dict[str, Any]] = {
    "raw": {"method": "none"},
    "pca": {"method": "dual_pca", "components": 2},
}
SETTINGS = {"architecture": ARCHITECTURE, "evaluation": {"realigned": 2, "barriers": 2, "neighbours": 2}}


@dataclass(frozen=True)
class Evaluated:
    """A zoo that was evaluated, and where its files lie."""

    folder: Path
    zoo: ProbedZoo

    def gram(self, matrix: str) -> Path:
        return self.folder / f"gram-{matrix}.npz"

    @property
    def neighbours(self) -> Path:
        return self.folder / "neighbours.npz"

    def inputs(self, name: str, networks: dict[str, State]) -> tuple[Path, Path]:
        """Return the manifest of some networks, and their predictions."""
        manifest, outputs = self.folder / f"{name}.json", self.folder / f"{name}.npz"
        if not manifest.exists():
            write_networks(manifest, networks)
            settings = Score(architecture=ARCHITECTURE)
            score(settings, self.zoo.data, None, manifest, outputs)
        return manifest, outputs

    def basis(self, matrix: str, subspace: str) -> Path:
        path = self.folder / f"{matrix}-{subspace}.npz"
        settings = SolveBasis.model_validate({"subspace": SUBSPACES[subspace]})
        source = self.zoo.weights if matrix == "weights" else self.zoo.matrix
        solve_basis(settings, [self.gram(matrix)], source, path)
        return path

    def measured(
        self, name: str, networks: dict[str, State], subspace: str, matrix: str = "responses"
    ) -> tuple[pd.DataFrame, pd.Series]:
        """Return what is known of each of some networks, and of them as a set."""
        manifest, outputs = self.inputs(name, networks)
        other = Represented(self.zoo.matrix, [self.gram("responses")], self.neighbours, self.zoo.basis)
        probing = {} if matrix == "weights" else {"probing": PROBING}
        destination = self.folder / f"{name}-{matrix}-{subspace}"
        evaluate(
            Evaluate.model_validate(SETTINGS | probing),
            self.zoo.data,
            [manifest],
            [outputs],
            self.zoo.weights,
            [self.gram("weights")],
            self.basis(matrix, subspace),
            [self.folder / "all.npz"],
            self.folder / "zoo.csv",
            destination,
            represented=None if matrix == "weights" else other,
        )
        return read_csv(destination / "metrics.csv"), read_csv(destination / "sets.csv").iloc[0]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    folder = tmp_path_factory.mktemp("zoo")
    zoo = ProbedZoo(folder, functions=5).begin().sketched().solved().encoded().stacked()
    found = Evaluated(folder, zoo)
    for name, matrix in (("weights", found.zoo.weights), ("responses", found.zoo.matrix)):
        accumulate_gram(AccumulateGram(part=0, parts=1), matrix, found.gram(name))
    seed = FindNeighbours(seed=0)
    find_neighbours(seed, [found.gram("responses")], found.zoo.matrix, found.neighbours)
    _, outputs = found.inputs("all", NETWORKS)
    evaluate_zoo(
        EvaluateZoo.model_validate(SETTINGS),
        [outputs],
        found.zoo.weights,
        [found.gram("weights")],
        folder / "zoo.csv",
        folder / "zoo_layers.csv",
        folder / "zoo_classes.csv",
        folder / "zoo_ensembles.csv",
    )
    return found


def test_coordinates_are_those_of_the_definition(evaluated: Evaluated) -> None:
    rows = WeightMatrix.open(evaluated.zoo.matrix).read()
    expected = [evaluated.zoo.coordinates(state) for state in NETWORKS.values()]
    np.testing.assert_allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize("subspace", SUBSPACES)
def test_distances_are_between_coordinates_and_novelty_is_between_weights(
    evaluated: Evaluated, subspace: str
) -> None:
    networks, sets = evaluated.measured("others", OTHERS, subspace)
    own = np.stack([evaluated.zoo.coordinates(state) for state in OTHERS.values()])
    zoo = np.stack([evaluated.zoo.coordinates(state) for state in NETWORKS.values()])
    apart = cdist(own, zoo[:N]).min(axis=1)
    np.testing.assert_allclose(networks.representation_distance, apart, rtol=1e-5)
    among = cdist(zoo[:N], zoo[:N]) + np.diag(np.full(N, np.inf))
    held_out = cdist(zoo[N:], zoo[:N]).min(axis=1)
    assert sets.zoo_representation_distance == pytest.approx(among.min(axis=1).mean(), rel=1e-5)
    assert sets.held_out_representation_distance == pytest.approx(held_out.mean(), rel=1e-5)

    if subspace == "pca":
        centre = zoo[:N].mean(axis=0)
        directions = np.linalg.svd(zoo[:N] - centre)[2][:2]
        own, zoo = ((rows - centre) @ directions.T for rows in (own, zoo))
    in_subspace = cdist(zoo[:N], zoo[:N]) + np.diag(np.full(N, np.inf))
    np.testing.assert_allclose(networks.subspace_distance, cdist(own, zoo[:N]).min(axis=1), rtol=1e-4)
    assert sets.zoo_subspace_distance == pytest.approx(in_subspace.min(axis=1).mean(), rel=1e-4)
    expected = cdist(zoo[N:], zoo[:N]).min(axis=1).mean()
    assert sets.held_out_subspace_distance == pytest.approx(expected, rel=1e-4)

    weights = [np.stack([flat(state) for state in some.values()]) for some in (OTHERS, NETWORKS)]
    nearest = cdist(weights[0], weights[1][:N]).min(axis=1)
    np.testing.assert_allclose(networks.nn_distance, nearest, rtol=1e-5)


def test_all_else_is_what_evaluation_among_weights_finds(evaluated: Evaluated) -> None:
    networks, sets = evaluated.measured("others", OTHERS, "raw")
    plain_networks, plain_sets = evaluated.measured("others", OTHERS, "raw", "weights")
    assert set(networks) - set(plain_networks) == {"representation_distance"}
    new = ("data_copying", "data_copying_in_cells")
    expected = {f"{name}_representation" for name in new}
    expected |= {f"{of}_representation_distance" for of in ("zoo", "held_out")}
    assert set(sets.index) - set(plain_sets.index) == expected
    same = plain_networks.columns.drop("subspace_distance")
    pd.testing.assert_frame_equal(networks[same], plain_networks[same])
    same = plain_sets.index.drop(["zoo_subspace_distance", "held_out_subspace_distance"])
    pd.testing.assert_series_equal(sets[same], plain_sets[same])


def test_copies_are_nowhere_else_in_any_coordinates(evaluated: Evaluated) -> None:
    networks, sets = evaluated.measured("copies", COPIES, "raw")
    for distance in ("representation_distance", "subspace_distance", "nn_distance"):
        np.testing.assert_allclose(networks[distance], 0, atol=1e-4)
    lowest = -np.sqrt(3 * 4 * HELD_OUT / (4 + HELD_OUT + 1))
    assert sets.data_copying_representation == pytest.approx(lowest)
    assert np.isnan(sets.data_copying_in_cells_representation), "four networks are too few for a cell"


def test_the_data_copying_statistic_is_of_distances_between_coordinates(evaluated: Evaluated) -> None:
    networks, sets = evaluated.measured("others", OTHERS, "raw")
    zoo = np.stack([evaluated.zoo.coordinates(state) for state in NETWORKS.values()])
    held_out = cdist(zoo[N:], zoo[:N]).min(axis=1)
    above = (networks.representation_distance.to_numpy()[:, None] > held_out).sum()
    expected = (above - 4 * HELD_OUT / 2) / np.sqrt(4 * HELD_OUT * (4 + HELD_OUT + 1) / 12)
    assert sets.data_copying_representation == pytest.approx(expected)


def test_the_command_line_names_the_other_coordinates(
    evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, outputs = evaluated.inputs("others", OTHERS)
    settings = Evaluate.model_validate(SETTINGS | {"probing": PROBING})
    destination = evaluated.folder / "by-command"
    options = {
        "settings": settings.to_argument(),
        "data": evaluated.zoo.data,
        "networks": manifest,
        "outputs": outputs,
        "weights": evaluated.zoo.weights,
        "gram": evaluated.gram("weights"),
        "represented": evaluated.zoo.matrix,
        "represented-gram": evaluated.gram("responses"),
        "neighbours": evaluated.neighbours,
        "responses": evaluated.zoo.basis,
        "basis": evaluated.basis("responses", "raw"),
        "zoo-outputs": evaluated.folder / "all.npz",
        "zoo-metrics": evaluated.folder / "zoo.csv",
        "destination": destination,
    }
    command(monkeypatch, main, *(part for name, value in options.items() for part in (f"--{name}", value)))
    called, _ = evaluated.measured("others", OTHERS, "raw")
    pd.testing.assert_frame_equal(read_csv(destination / "metrics.csv"), called)
