"""Each network of the zoo is compared with all others, whatever number of them is held at a time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import Checkout
from scipy.spatial.distance import cdist

import dwf_steps.evaluate_zoo as step
from dwf_steps.evaluate_zoo import EvaluateZoo, evaluate_zoo
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.outputs import Outputs
from dwf_steps.tasks.classification import wrong

NEIGHBOURS = 2


def measured(finished: Checkout, folder: Path, **more: int) -> pd.DataFrame:
    zoo = finished.folder / "results/micro"
    settings = {"architecture": {"widths": [4, 6, 5, 3]}, "evaluation": {"neighbours": NEIGHBOURS} | more}
    evaluate_zoo(
        EvaluateZoo.model_validate(settings),
        [zoo / f"outputs/shard-{k}.npz" for k in range(2)],
        zoo / "none/weights.zarr",
        [zoo / f"none/weights/gram/part-{k}.npz" for k in range(2)],
        folder / "metrics.csv",
        folder / "layers.csv",
        folder / "classes.csv",
        folder / "ensembles.csv",
    )
    return pd.read_csv(folder / "metrics.csv", index_col="network")


def test_a_network_at_a_time_says_the_same(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = measured(finished, tmp_path)
    monkeypatch.setattr(step, "BLOCK_BYTES", 1)
    pd.testing.assert_frame_equal(measured(finished, tmp_path), at_once)


def test_training_networks_are_compared_with_all_others(finished: Checkout, tmp_path: Path) -> None:
    frame = measured(finished, tmp_path)
    matrix = WeightMatrix.open(finished.folder / "results/micro/none/weights.zarr")
    n, names = matrix.n_training, [row.name for row in matrix.rows]
    distances = cdist(matrix.read().astype(float), matrix.read()[:n].astype(float))
    among = np.sort(distances[:n], axis=1)[:, 1:]
    np.testing.assert_allclose(frame.nn_distance[:n], among[:, 0], rtol=1e-6)
    np.testing.assert_allclose(frame.nn_distance[n:], distances[n:].min(axis=1), rtol=1e-6)
    np.testing.assert_allclose(frame.mean_distance[:n], among.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(frame.weights_radius[:n], among[:, NEIGHBOURS - 1], rtol=1e-6)
    assert frame.loc[names[n:], ["mean_distance", "weights_radius", "outputs_radius"]].isna().all(axis=None)

    folder = finished.folder / "results/micro/outputs"
    predicted = Outputs.load([folder / f"shard-{k}.npz" for k in range(2)]).of(names)
    mistakes = wrong(predicted.predictions, predicted.targets)
    for i, name in enumerate(names):
        others = [j for j in range(n) if j != i]
        unions = [(mistakes[i] | mistakes[j]).sum() for j in others]
        shared = [(mistakes[i] & mistakes[j]).sum() for j in others]
        overlaps = [s / u if u else 1.0 for s, u in zip(shared, unions, strict=True)]
        assert frame.max_iou[name] == pytest.approx(max(overlaps))
        assert frame.mean_iou[name] == pytest.approx(np.mean(overlaps))
    roots = np.exp(predicted.predictions[:n].astype(float) / 2).reshape(n, -1)
    apart = np.sort(cdist(roots, roots) / np.sqrt(2 * len(predicted.targets)), axis=1)
    np.testing.assert_allclose(frame.outputs_radius[:n], apart[:, NEIGHBOURS], rtol=1e-3)
    np.testing.assert_allclose(frame.prediction_distance[:n], apart[:, 1], rtol=1e-3)
    others = np.exp(predicted.predictions[n:].astype(float) / 2).reshape(len(names) - n, -1)
    to_training = cdist(others, roots).min(axis=1) / np.sqrt(2 * len(predicted.targets))
    np.testing.assert_allclose(frame.prediction_distance[n:], to_training, rtol=1e-3)
    np.testing.assert_array_equal(frame.nearest_accuracy, frame.accuracy[frame.nearest])


def test_distances_in_layers_leave_each_training_network_out(finished: Checkout, tmp_path: Path) -> None:
    frame = measured(finished, tmp_path, realigned=3)
    alone = pd.read_csv(tmp_path / "layers.csv")
    realigned = frame[frame.realigned_distance.notna()]
    assert list(realigned.held_out) == [False] * 3 + [True] * 2
    assert list(alone.network.unique()) == list(realigned.index)
    assert list(alone.layer) == ["layers.0", "layers.1", "layers.2"] * 5
    assert list(alone.held_out) == list(np.repeat(realigned.held_out, 3))
    assert (alone.distance > 0.05).all()
    together = np.sqrt((alone.distance**2).groupby(alone.network, sort=False).sum())
    assert (together.to_numpy() <= realigned.realigned_distance.to_numpy() + 1e-9).all()


def test_without_realigned_networks_there_are_no_distances_in_layers(
    finished: Checkout, tmp_path: Path
) -> None:
    frame = measured(finished, tmp_path, realigned=0)
    assert frame.realigned_distance.isna().all()
    alone = pd.read_csv(tmp_path / "layers.csv")
    assert list(alone.columns) == ["network", "held_out", "layer", "distance"] and len(alone) == 0


def test_many_held_out_networks_divide_the_zoo_into_cells(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "cell_count", lambda held_out: held_out)
    frame = measured(finished, tmp_path)
    n = (~frame.held_out).sum()
    for cell in ("weights_cell", "outputs_cell"):
        assert set(frame[cell][:n]) == {0, 1}
        assert set(frame[cell][n:]) <= {0, 1}
    nearest = frame.weights_cell[frame.nearest[n:]]
    np.testing.assert_array_equal(frame.weights_cell[n:], nearest)
