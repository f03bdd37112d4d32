"""A zoo of checkpoints along trainings: a network's own trajectory never makes it look known, or new. And one
flow for two such zoos."""

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
        "generators": ["gaussian", "held_out", "back"],
    }
    told = checkout.config["generators"]["flow"] | {"condition": {"variable": "zoo"}}
    generators = checkout.config["generators"] | {
        "held_out": {"sampling": {"samples": HELD_OUT}},
        "told": told | {"sampling": {"samples": 7, "steps": 10}},
        "back": {"kind": "joint", "zoo": "both", "generator": "told", "sampling": {"samples": 3}},
    }
    zoos = {"micro": zoo, "named": zoo | {"dataset": "iris_named"}, "both": {"zoos": ["named", "micro"]}}
    datasets = {"iris_named": {"of": "iris", "classes": [2, 0, 1]}}
    config = checkout.config | {
        "zoos": zoos,
        "datasets": datasets,
        "generators": generators,
        "experiments": [cell],
    }
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


def test_a_zoo_of_two_has_the_trajectories_of_both_and_holds_out_what_they_do(run: Path) -> None:
    matrix = WeightMatrix.open(run / "both/git_rebasin/weights.zarr")
    assert len(matrix.rows) == 2 * SEEDS * CHECKPOINTS
    held_out = {row.trajectory for row in matrix.rows if row.held_out}
    assert held_out == {f"{zoo}.seed-{seed}" for zoo in ("named", "micro") for seed in (4, 5)}
    assert [row.held_out for row in matrix.rows] == [False] * 2 * TRAINING + [
        True
    ] * 2 * HELD_OUT * CHECKPOINTS
    for row, facts in zip(matrix.rows, read_facts(matrix), strict=True):
        assert (facts.zoo, row.name.startswith(f"{facts.zoo}.")) == (row.name.partition(".")[0], True)
        assert facts.epochs is not None


def test_its_flows_networks_are_judged_in_the_zoo_that_they_were_asked_for(run: Path) -> None:
    made = Manifest.read(run / "both/git_rebasin/weights/pca_4/told/networks/shard-0.json")
    assert made.facts["zoos"] == {f"sample-{i}": ("named", "micro")[i % 2] for i in range(7)}
    taken = Manifest.read(run / "micro/git_rebasin/weights/pca_4/back/networks/shard-0.json")
    files = [Path(record.facts["file"]).stem for record in taken.networks]
    assert files == ["sample-1", "sample-3", "sample-5"]
    for name, after in zip(files, taken.verified_files(), strict=True):
        before = load_state(made.path.with_suffix("") / f"{name}.safetensors")
        assert all(np.array_equal(array, before[key]) for key, array in load_state(after).items())
    accuracy = pd.read_csv(run / "tables/accuracy.csv").query("metric == 'accuracy'").set_index("generator")
    assert accuracy.generated_n["back"] == 3


def test_they_cost_what_fitting_and_drawing_took_in_the_zoo_of_two(run: Path) -> None:
    def seconds(job: str) -> float:
        return float(pd.read_csv(run / f"benchmarks/{job}.tsv", sep="\t").s.item())

    there = "both/git_rebasin/weights/pca_4/told"
    cost = pd.read_csv(run / "tables/cost.csv").set_index("generator").loc["back"]
    assert cost.fit_seconds == pytest.approx(seconds(f"{there}/fit_generator"))
    drawing = (seconds(f"{there}/sample_generator") + seconds(f"{there}/decode-0")) / 7
    taking = seconds("micro/git_rebasin/weights/pca_4/back/make_networks-0") / 3
    assert cost.seconds_per_network == pytest.approx(drawing + taking)
    assert cost.prepare_seconds > seconds("both/git_rebasin/join_zoo")
