"""Networks half-way between two others are read beside the mean of these very two."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bases import basis_of

from dwf_steps.config.generators.base import GeneratorFacts
from dwf_steps.config.generators.interpolation import InterpolationConfig
from dwf_steps.config.workflow import Cell
from dwf_steps.generators.base import Tools, TrainingNetworks
from dwf_steps.generators.interpolation import Interpolation
from dwf_steps.generators.samples import Samples
from dwf_steps.reporting.record import ExperimentRecord
from dwf_steps.reporting.results import Collection, Results
from dwf_steps.reporting.tables import interpolation_barrier_table
from dwf_steps.storage.csv_tables import write_csv

CELLS = [
    Cell("mine", "none", representation, "raw", "half", recalibration)
    for representation in ("weights", "responses")
    for recalibration in ("none", "repaired")
]
RECORD = ExperimentRecord(
    cells=CELLS,
    members={},
    generators={
        "half": GeneratorFacts(kind="mine", control=True, shows_training=False, costs_training=False)
    },
    fitted_by={},
    zoo_networks={"mine": 4},
    zoo_trainings={"mine": 4},
    samples={"half": 3},
    halfway=["half"],
)
ACCURACY = np.array([0.9, 0.7, 0.8])
HALFWAY = {"weights": [0.3, 0.5, 0.1], "responses": [0.8, 0.7, 0.9]}


def drawn() -> Samples:
    """Return what the generator itself draws, from a basis of fewer components than networks."""
    basis = basis_of(np.random.default_rng(0).normal(size=(3, 5)), components=1)
    settings = {"kind": "interpolation", "weight": 0.5, "sampling": {"samples": 3}}
    config = InterpolationConfig.model_validate(settings)
    assert config.halfway and not config.model_copy(update={"weight": 0.4}).halfway
    return Interpolation(config).sample(TrainingNetworks(basis), Tools())


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return results of three training networks and a held-out one, which recalibration makes better by 0.05,
    and of three networks half-way between two of them, one of which failed in every cell."""
    samples = drawn()
    for cell in CELLS:
        better = 0.05 * (cell.recalibration == "repaired")
        zoo = pd.DataFrame({"held_out": [False] * 3 + [True], "accuracy": [*(ACCURACY + better), 0.1]})
        zoo["loss"] = 1 - zoo.accuracy
        write_csv(tmp_path / "mine/none/zoo_metrics" / cell.recalibration / "metrics.csv", zoo)
        networks = pd.DataFrame({"failed": [False, False, True], "accuracy": HALFWAY[cell.representation]})
        networks["loss"] = 1 - networks.accuracy
        networks.loc[2, ["accuracy", "loss"]] = np.nan
        write_csv(tmp_path.joinpath(*cell) / "metrics.csv", networks)
        samples.save(tmp_path.joinpath(*cell[:5]) / "latents.npz")
    return Results(tmp_path, RECORD)


def test_the_barrier_is_what_both_ends_lose_on_average(results: Results) -> None:
    table = interpolation_barrier_table(Collection([results]))
    keys = ["metric", "representation", "recalibration"]
    found = table.set_index(keys).sort_index()
    assert len(found) == 8 and set(found.n) == {2} and set(found.failed_n) == {1}
    for recalibration, better in (("none", 0), ("repaired", 0.05)):
        ends = [(ACCURACY[row == 0.5] + better).mean() for row in drawn().coefficients[:2]]
        for representation, halfway in HALFWAY.items():
            row = found.loc["accuracy", representation, recalibration]
            lost = np.subtract(ends, halfway[:2])
            for name, values in {"ends": ends, "halfway": halfway[:2], "barrier": lost}.items():
                assert row[f"{name}_mean"] == pytest.approx(np.mean(values))
                assert row[f"{name}_std"] == pytest.approx(np.std(values, ddof=1))
            # A loss that is higher half-way is a barrier too.
            loss = found.loc["loss", representation, recalibration]
            assert loss.barrier_mean == pytest.approx(np.mean(lost))
            assert loss.ends_mean == pytest.approx(1 - np.mean(ends))
