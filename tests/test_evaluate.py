"""Failed samples are counted, never dropped; held-out networks change nothing they must not."""

from pathlib import Path

import numpy as np
import pandas as pd
from checkout import Checkout

from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.decode import DecodeSettings, decode
from dwf_steps.evaluate import EvaluateSettings, evaluate
from dwf_steps.generators.samples import Samples
from dwf_steps.reporting.tables import accuracy_table, novelty_table
from dwf_steps.storage.manifest import Manifest


def test_a_sample_that_is_not_finite_is_marked_counted_and_has_no_file(
    finished: Checkout, tmp_path: Path
) -> None:
    zoo = finished.folder / "results/micro"
    folder = tmp_path / "micro/none/pca_4/gaussian"
    samples = Samples.load(zoo / "none/pca_4/gaussian/latents.npz")
    samples.coefficients[2] = np.nan
    samples.save(folder / "latents.npz")
    weights = zoo / "none/weights.zarr"
    networks = folder / "networks/shard-0"
    decode(
        DecodeSettings(part=0, parts=1, memory_mb=64),
        folder / "latents.npz",
        weights,
        networks,
        networks.with_suffix(".json"),
    )
    assert Manifest.read(networks.with_suffix(".json")).failed == ("sample-2",)
    assert sorted(p.stem for p in networks.iterdir()) == [f"sample-{i}" for i in (0, 1, 3, 4, 5)]

    settings = EvaluateSettings.model_validate(
        {"dataset": "iris", "splits": SplitsConfig(), "architecture": {"widths": [4, 6, 5, 3]}}
    )
    shards = [zoo / f"zoo/shard-{k}" for k in range(2)]
    evaluate(
        settings,
        Path("data"),
        [networks.with_suffix(".json")],
        weights,
        [shard.with_suffix(".json") for shard in shards],
        [shard.with_suffix(".npz") for shard in shards],
        folder / "metrics.csv",
    )
    frame = pd.read_csv(folder / "metrics.csv")
    undisturbed = pd.read_csv(zoo / "none/pca_4/gaussian/metrics.csv")
    assert list(frame.failed) == [False, False, True, False, False, False]
    assert frame.loc[2, ["accuracy", "loss", "max_iou", "nn_distance", "nearest"]].isna().all()
    pd.testing.assert_frame_equal(frame.drop(index=2), undisturbed.drop(index=2))

    for table in (accuracy_table, novelty_table):
        rows = table([folder / "metrics.csv"], [zoo / "none/zoo_metrics.csv"])
        assert (rows.failed_n == 1).all()
    accuracy = accuracy_table([folder / "metrics.csv"], [zoo / "none/zoo_metrics.csv"]).iloc[0]
    assert accuracy.generated_n == 5
    assert accuracy.generated_mean == undisturbed.accuracy.drop(index=2).mean()
