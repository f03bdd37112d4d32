"""A zoo of checkpoints along trainings: a network's own trajectory never makes it look known, or new."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import Checkout
from scipy.spatial.distance import cdist

from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import load_state
from dwf_steps.storage.row_facts import read_facts

SEEDS, CHECKPOINTS, HELD_OUT = 6, 4, 2
TRAINING = (SEEDS - HELD_OUT) * CHECKPOINTS


@pytest.fixture(scope="module")
def run(new_checkout: Callable[[], Checkout]) -> Path:
    checkout = new_checkout()
    zoo = checkout.config["zoos"]["micro"] | {
        "seeds": SEEDS,
        "held_out": HELD_OUT,
        "shard_size": 4,
        "trajectory": {"checkpoints": CHECKPOINTS, "every": 5, "skip_epochs": 1.5},
    }
    cell = {
        "zoos": ["micro"],
        "canonicalizations": ["git_rebasin"],
        "subspaces": ["pca_4"],
        "generators": ["gaussian", "held_out"],
    }
    generators = checkout.config["generators"] | {"held_out": {"sampling": {"samples": HELD_OUT}}}
    config = checkout.config | {"zoos": {"micro": zoo}, "generators": generators, "experiments": [cell]}
    own = Checkout(checkout.folder, config)
    own.write_config()
    own.snakemake("all")
    return own.folder / "results"


def test_checkpoints_are_the_zoos_networks_with_their_trajectories(run: Path) -> None:
    records = [
        record
        for shard in range(2)
        for record in Manifest.read(run / f"micro/zoo/shard-{shard}.json").networks
    ]
    assert [record.name for record in records] == [
        f"seed-{seed}-checkpoint-{k}" for seed in range(SEEDS) for k in range(CHECKPOINTS)
    ]
    batches = records[0].facts["step"] / records[0].facts["epochs"]
    first = round(1.5 * batches)
    assert [record.facts["step"] for record in records[:CHECKPOINTS]] == [first + 5 * k for k in (1, 2, 3, 4)]
    assert [record.trajectory for record in records[::CHECKPOINTS]] == [
        f"seed-{seed}" for seed in range(SEEDS)
    ]


def test_whole_trajectories_are_held_out(run: Path) -> None:
    rows = WeightMatrix.open(run / "micro/git_rebasin/weights.zarr").rows
    assert {row.trajectory for row in rows if row.held_out} == {"seed-4", "seed-5"}
    assert sum(row.held_out for row in rows) == HELD_OUT * CHECKPOINTS


def test_the_matrix_states_what_the_zoo_knows_of_its_checkpoints(run: Path) -> None:
    matrix = WeightMatrix.open(run / "micro/git_rebasin/weights.zarr")
    manifests = [Manifest.read(run / f"micro/zoo/shard-{shard}.json") for shard in range(2)]
    known = {record.name: record.facts for manifest in manifests for record in manifest.networks}
    for row, facts in zip(matrix.rows, read_facts(matrix), strict=True):
        assert facts.validation_accuracy == known[row.name]["validation_accuracy"]
        assert facts.train_loss == known[row.name]["train_loss"]
        assert facts.epochs == known[row.name]["epochs"]


def test_the_reference_is_the_end_of_a_trajectory(run: Path) -> None:
    (record,) = Manifest.read(run / "micro/git_rebasin/reference.json").networks
    assert record.name == f"seed-0-checkpoint-{CHECKPOINTS - 1}"


def test_pairs_are_of_different_trajectories(run: Path) -> None:
    table = pd.read_csv(run / "micro/git_rebasin/alignment.csv")
    states = [
        np.concatenate([load_state(path)[name].ravel() for name in ("layers.0.weight", "layers.0.bias")])
        for path in Manifest.read(run / "micro/zoo/shard-0.json").verified_files()
    ]
    for i in range(3 * CHECKPOINTS):
        assert table.pair_distance_before[i] >= np.linalg.norm(states[i] - states[i + CHECKPOINTS])
    assert table.pair_distance_before[3 * CHECKPOINTS : 4 * CHECKPOINTS].isna().all()


def test_the_nearest_network_is_of_another_trajectory(run: Path) -> None:
    zoo = pd.read_csv(next(run.glob("micro/git_rebasin/zoo_metrics/*/metrics.csv")))
    matrix = WeightMatrix.open(run / "micro/git_rebasin/weights.zarr")
    rows = matrix.read()[:TRAINING].astype(np.float64)
    distances, trajectories = cdist(rows, rows), np.repeat(range(SEEDS - HELD_OUT), CHECKPOINTS)
    distances[trajectories[:, None] == trajectories] = np.inf
    np.testing.assert_allclose(zoo.nn_distance[:TRAINING], distances.min(axis=1), rtol=1e-4)
    for name in ("nearest", "similar"):
        own = zoo.network[:TRAINING].str.extract(r"(seed-\d+)")[0]
        assert (zoo[name][:TRAINING].str.extract(r"(seed-\d+)")[0] != own).all()


def test_held_out_networks_are_of_every_held_out_trajectory(run: Path) -> None:
    found = pd.read_csv(next(run.glob("micro/git_rebasin/weights/pca_4/held_out/*/metrics.csv")))
    zoo = pd.read_csv(next(run.glob("micro/git_rebasin/zoo_metrics/*/metrics.csv"))).set_index("network")
    expected = zoo.nn_distance[["seed-4-checkpoint-0", "seed-5-checkpoint-0"]]
    np.testing.assert_allclose(found.nn_distance, expected, rtol=1e-4)
