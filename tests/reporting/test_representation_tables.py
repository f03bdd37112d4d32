"""Tables of what representations lose, computed by hand for a few networks."""

from pathlib import Path

import pandas as pd
import pytest

from dwf_steps.config.workflow import Cell
from dwf_steps.reporting import registry
from dwf_steps.reporting.record import ExperimentRecord
from dwf_steps.reporting.results import Collection, Results
from dwf_steps.reporting.tables import reconstruction_table, representation_layers_table, representation_table
from dwf_steps.storage.csv_tables import write_csv

CELLS = [Cell("mine", "none", name, "raw", "flow", "none") for name in ("weights", "responses")]
RECORD = ExperimentRecord(
    cells=CELLS,
    members={},
    generators={},
    fitted_by={},
    zoo_networks={"mine": 3},
    zoo_trainings={"mine": 3},
    samples={},
)
ERRORS = {"agreement": [0.9, 1.0, 0.8], "iou": [0.8, 0.6, 0.5]}
ERRORS |= {"weight_error": [0.1, 0.3, 0.5], "coordinate_error": [0.01, 0.03, 0.05]}
EXACTNESS = {
    "network": ["seed-0", "seed-1", "seed-2"],
    "held_out": [False, False, True],
    "metric": "accuracy",
    "trained": [0.9, 0.8, 0.7],
    "decoded": [0.88, 0.81, 0.5],
} | ERRORS


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return results of one representation besides weights: two training networks and a held-out one."""
    exactness = pd.DataFrame(EXACTNESS)
    shares = pd.DataFrame({"layer": ["a", "b"], "training": [0.99, 0.97], "held_out": [0.9, 0.95]})
    write_csv(tmp_path / "mine/none/responses/exactness.csv", exactness)
    write_csv(tmp_path / "mine/none/responses/shares.csv", shares)
    return Results(tmp_path, RECORD)


def test_training_and_held_out_networks_have_a_row_each(results: Results) -> None:
    table = representation_table(Collection([results]))
    assert set(table.representation) == {"responses"}
    training, held_out = (table[table.kind == kind].iloc[0] for kind in ("training", "held_out"))
    assert (training.n, held_out.n) == (2, 1)
    assert (training.trained_mean, training.decoded_mean) == pytest.approx((0.85, 0.845))
    assert training.largest_loss == pytest.approx(0.02)
    assert held_out.largest_loss == pytest.approx(0.2)
    for name, values in ERRORS.items():
        assert training[f"{name}_mean"] == pytest.approx((values[0] + values[1]) / 2)
        assert held_out[f"{name}_mean"] == pytest.approx(values[2])
    assert (training.share_kept, training.layer) == (0.97, "b")
    assert (held_out.share_kept, held_out.layer) == (0.9, "a")


def test_repetitions_are_pooled(results: Results) -> None:
    twice = representation_table(Collection([results, results]))
    assert twice.n.tolist() == [4, 2]
    assert twice.trained_mean.tolist() == pytest.approx([0.85, 0.7])


def test_every_layer_has_a_row(results: Results) -> None:
    table = representation_layers_table(Collection([results]))
    assert table[["layer", "training", "held_out"]].to_numpy().tolist() == [
        ["a", 0.99, 0.9],
        ["b", 0.97, 0.95],
    ]


def test_only_representations_besides_weights_have_them() -> None:
    tables = {"representation", "representation_layers"}
    assert tables <= set(registry.names("table", RECORD))
    weights = RECORD.model_copy(update={"cells": CELLS[:1]})
    assert not tables & set(registry.names("table", weights))


def test_networks_that_a_shared_autoencoder_reconstructs_are_read_once(tmp_path: Path) -> None:
    frame = pd.DataFrame(EXACTNESS)
    cells = [Cell("mine", "none", "weights", "raw", name, "none") for name in ("ae", "colder", "flow")]
    write_csv(tmp_path / "mine/none/weights/raw/ae/reconstruction.csv", frame)
    models = {"ae": "ae", "colder": "ae", "flow": "flow"}
    record = RECORD.model_copy(update={"cells": cells, "autoencoders": ["ae", "colder"], "fitted_by": models})
    table = reconstruction_table(Collection([Results(tmp_path, record)]))
    assert table[["generator", "kind", "n"]].to_numpy().tolist() == [
        ["ae", "training", 2],
        ["ae", "held_out", 1],
    ]
    assert table.decoded_mean.tolist() == pytest.approx([0.845, 0.5])
    assert table.largest_loss.tolist() == pytest.approx([0.02, 0.2])
