"""Failed samples are counted, never dropped; and measures are those of the networks themselves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import Checkout

from dwf_steps.config.workflow import Cell
from dwf_steps.decode import Decode, decode
from dwf_steps.evaluate import Evaluate, evaluate
from dwf_steps.generators.samples import Samples
from dwf_steps.metrics import data_copying as data_copying_module
from dwf_steps.metrics.data_copying import data_copying
from dwf_steps.reporting.results import Collection, Results
from dwf_steps.reporting.tables import accuracy_table, layers_table, novelty_table
from dwf_steps.score import Score, score
from dwf_steps.storage.csv_tables import read_csv, write_csv
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.matrix import WeightMatrix

TASK = {"architecture": {"widths": [4, 6, 5, 3]}}
CELL = Cell("micro", "none", "weights", "pca_4", "gaussian", "none")


def judged(
    finished: Checkout,
    root: Path,
    samples: Samples,
    evaluation: dict[str, int] | None = None,
    zoo_metrics: Path | None = None,
) -> pd.DataFrame:
    """Decode, score and evaluate other samples below ``root``; return their metrics."""
    zoo = finished.folder / "results/micro"
    folder, weights = root.joinpath(*CELL[:5]), zoo / "none/weights.zarr"
    samples.save(folder / "latents.npz")
    networks = folder / "networks/shard-0"
    decode(
        Decode(part=0, parts=1, memory_mb=64),
        folder / "latents.npz",
        weights,
        networks,
        networks.with_suffix(".json"),
    )
    outputs = folder / "none/outputs/shard-0.npz"
    data = zoo / "data.npz"
    score(Score.model_validate(TASK), data, None, networks.with_suffix(".json"), outputs)
    evaluate(
        Evaluate.model_validate(TASK | {"evaluation": evaluation or {}}),
        data,
        [networks.with_suffix(".json")],
        [outputs],
        weights,
        [zoo / f"none/weights/gram/part-{k}.npz" for k in range(2)],
        zoo / "none/weights/pca_4/basis.npz",
        [zoo / f"outputs/shard-{k}.npz" for k in range(2)],
        zoo_metrics or zoo / "none/zoo_metrics/none/metrics.csv",
        folder / "none",
    )
    return pd.read_csv(folder / "none/metrics.csv")


LAYER_COLUMNS = ["network", "layer", "distance"]


@pytest.fixture(scope="module")
def samples(finished: Checkout) -> Samples:
    return Samples.load(finished.folder / "results/micro/none/weights/pca_4/gaussian/latents.npz")


def test_a_sample_that_is_not_finite_is_marked_counted_and_has_no_file(
    finished: Checkout, samples: Samples, tmp_path: Path
) -> None:
    coefficients = samples.coefficients.copy()
    coefficients[2] = np.nan
    frame = judged(finished, tmp_path, replace(samples, coefficients=coefficients))
    networks = tmp_path.joinpath(*CELL[:5]) / "networks/shard-0"
    assert Manifest.read(networks.with_suffix(".json")).failed == ("sample-2",)
    assert sorted(p.stem for p in networks.iterdir()) == [f"sample-{i}" for i in (0, 1, 3, 4, 5)]

    undisturbed = pd.read_csv(finished.folder.joinpath("results", *CELL) / "metrics.csv")
    assert list(frame.failed) == [False, False, True, False, False, False]
    assert frame.loc[2, ["accuracy", "loss", "max_iou", "nn_distance", "nearest"]].isna().all()
    pd.testing.assert_frame_equal(frame.drop(index=2), undisturbed.drop(index=2))

    record = Results.open(finished.folder / "results").record.model_copy(update={"cells": [CELL]})
    zoo = finished.folder / "results/micro/none/zoo_metrics"
    (tmp_path / "micro/none/zoo_metrics").symlink_to(zoo)
    collection = Collection([Results(tmp_path, record)])
    layers = layers_table(collection)
    assert list(novelty_table(collection, layers).failed_n) == [1]
    alone = pd.read_csv(tmp_path.joinpath(*CELL) / "layers.csv")
    assert list(alone.network.unique()) == [f"sample-{i}" for i in (0, 1, 3, 4, 5)]
    np.testing.assert_allclose(layers.distance_mean, alone.groupby("layer").distance.mean())
    accuracy = accuracy_table(collection).query("metric == 'accuracy'").iloc[0]
    assert accuracy.failed_n == 1
    assert accuracy.generated_n == 5
    assert accuracy.generated_mean == pytest.approx(undisturbed.accuracy.drop(index=2).mean())


def test_a_generator_whose_samples_all_fail_is_counted_and_has_no_measures(
    finished: Checkout, samples: Samples, tmp_path: Path
) -> None:
    nothing = np.full_like(samples.coefficients, np.inf)
    frame = judged(finished, tmp_path, replace(samples, coefficients=nothing))
    assert frame.failed.all() and len(frame) == 6
    assert frame.loss.isna().all()
    assert pd.read_csv(tmp_path.joinpath(*CELL) / "layers.csv").columns.tolist() == LAYER_COLUMNS


def test_a_single_network_is_judged_without_being_a_set(
    finished: Checkout, samples: Samples, tmp_path: Path
) -> None:
    frame = judged(finished, tmp_path, samples.part(0, 6))
    assert len(frame) == 1 and not frame.failed.any()
    assert pd.read_csv(tmp_path.joinpath(*CELL) / "sets.csv").neighbours.isna().all()
    assert list(pd.read_csv(tmp_path.joinpath(*CELL) / "layers.csv").distance > 0) == [True] * 3


def test_weight_measures_of_copies_and_mixtures_are_known(
    finished: Checkout, samples: Samples, tmp_path: Path
) -> None:
    n = samples.coefficients.shape[1]
    mixing = np.vstack([np.eye(n)[:2], np.full((1, n), 1 / n), [[0.5, 0.5, *np.zeros(n - 2)]]])
    copies = Samples(np.zeros((4, 4)), mixing, np.empty((4, 0), np.float32))
    frame = judged(finished, tmp_path, copies)
    rows = WeightMatrix.open(finished.folder / "results/micro/none/weights.zarr").read().astype(float)[:n]
    zoo = pd.read_csv(finished.folder / "results/micro/none/zoo_metrics/none/metrics.csv")
    np.testing.assert_allclose(frame.nn_distance[:2], 0, atol=1e-5)
    assert list(frame.nearest[:2]) == list(zoo.network[:2])
    np.testing.assert_allclose(frame.accuracy[:2], zoo.accuracy[:2])
    np.testing.assert_array_equal(frame.nearest_accuracy, zoo.set_index("network").accuracy[frame.nearest])
    np.testing.assert_allclose(frame.prediction_distance[:2], 0, atol=1e-3)
    np.testing.assert_allclose(frame.max_iou[:2], 1)
    np.testing.assert_allclose(frame.jensen_shannon[:2], 0, atol=1e-6)
    np.testing.assert_allclose(frame.barrier[:2], 0, atol=1e-5)
    np.testing.assert_allclose(frame.max_squared_cosine[:2], 1, atol=1e-5)
    np.testing.assert_allclose(frame.span_share, 1, atol=1e-5)
    assert (frame.realigned_distance <= frame.nn_distance + 1e-5).all()
    mean_distance = np.linalg.norm(rows - rows.mean(axis=0), axis=1).min()
    assert frame.nn_distance[2] == pytest.approx(mean_distance, rel=1e-5)
    between = min(np.linalg.norm(rows - (rows[0] + rows[1]) / 2, axis=1))
    assert frame.nn_distance[3] == pytest.approx(between, rel=1e-5)


def test_copies_have_the_lowest_data_copying_statistic_and_no_distance_in_any_layer(
    finished: Checkout, samples: Samples, tmp_path: Path
) -> None:
    n = samples.coefficients.shape[1]
    judged(finished, tmp_path, Samples(np.zeros((6, 4)), np.eye(n)[:6], np.empty((6, 0), np.float32)))
    cell = tmp_path.joinpath(*CELL)
    sets, layers = pd.read_csv(cell / "sets.csv").iloc[0], pd.read_csv(cell / "layers.csv")
    lowest = -np.sqrt(3 * 6 * 2 / (6 + 2 + 1))
    assert sets.data_copying_weights == pytest.approx(lowest)
    assert sets.data_copying_outputs == pytest.approx(lowest)
    assert np.isnan(sets.data_copying_in_cells_weights)
    np.testing.assert_allclose(layers.distance, 0, atol=1e-5)
    assert len(layers) == 6 * 3


def test_the_statistic_is_of_realigned_distances_to_the_nearest_training_network(finished: Checkout) -> None:
    root = finished.folder / "results"
    networks, sets = (pd.read_csv(root.joinpath(*CELL) / f"{name}.csv") for name in ("metrics", "sets"))
    zoo = pd.read_csv(root / "micro/none/zoo_metrics/none/metrics.csv")
    for space, measure in (("weights", "realigned_distance"), ("outputs", "prediction_distance")):
        own, held_out = networks[measure], zoo[zoo.held_out][measure]
        above = sum((a > b) + 0.5 * (a == b) for a in own for b in held_out)
        assert sets[f"data_copying_{space}"].item() == pytest.approx((above - 6) / np.sqrt(12 * 9 / 12))
    assert (zoo.weights_cell == 0).all() and (zoo.outputs_cell == 0).all()


def test_over_cells_networks_are_compared_with_held_out_networks_of_their_own(
    finished: Checkout, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_copying_module, "FEWEST_IN_CELL", 1)
    zoo = read_csv(finished.folder / "results/micro/none/zoo_metrics/none/metrics.csv")
    frame = judged(finished, tmp_path, samples)
    cells = dict.fromkeys(zoo.network[:8], 0) | {frame.nearest[0]: 1, "seed-8": 0, "seed-9": 1}
    write_csv(tmp_path / "cells.csv", zoo.assign(weights_cell=zoo.network.map(cells)))
    judged(finished, tmp_path, samples, zoo_metrics=tmp_path / "cells.csv")
    own, held_out = frame.realigned_distance, zoo.realigned_distance[8:].to_numpy()
    inside = (frame.nearest == frame.nearest[0]).to_numpy()
    assert inside.any() and not inside.all()
    expected = [
        data_copying(own[~inside].to_numpy(), held_out[:1]),
        data_copying(own[inside].to_numpy(), held_out[1:]),
    ]
    sets = pd.read_csv(tmp_path.joinpath(*CELL) / "sets.csv").iloc[0]
    assert sets.data_copying_in_cells_weights == pytest.approx(np.mean(expected))
    assert np.isnan(sets.data_copying_in_cells_outputs), "these are one cell"


def test_where_nothing_is_realigned_the_plain_distances_count(
    finished: Checkout, samples: Samples, tmp_path: Path
) -> None:
    frame = judged(finished, tmp_path, samples, {"realigned": 0})
    assert frame.realigned_distance.isna().all()
    zoo = pd.read_csv(finished.folder / "results/micro/none/zoo_metrics/none/metrics.csv")
    sets = pd.read_csv(tmp_path.joinpath(*CELL) / "sets.csv").iloc[0]
    held_out = zoo[zoo.held_out].nn_distance
    assert sets.data_copying_weights == data_copying(frame.nn_distance.to_numpy(), held_out.to_numpy())
    assert pd.read_csv(tmp_path.joinpath(*CELL) / "layers.csv").columns.tolist() == LAYER_COLUMNS
