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


def measured(finished: Checkout, folder: Path) -> pd.DataFrame:
    zoo = finished.folder / "results/micro"
    settings = {"architecture": {"widths": [4, 6, 5, 3]}, "evaluation": {"neighbours": NEIGHBOURS}}
    evaluate_zoo(
        EvaluateZoo.model_validate(settings),
        [zoo / f"outputs/shard-{k}.npz" for k in range(2)],
        zoo / "none/weights.zarr",
        [zoo / f"none/weights/gram/part-{k}.npz" for k in range(2)],
        folder / "metrics.csv",
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
