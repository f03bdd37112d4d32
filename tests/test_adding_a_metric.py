"""A metric of single networks takes three files: its function, its entry among the measures, its test."""

import shutil
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from additions import add, run_its_tests
from checkout import Checkout, executed

from dwf_steps.metrics.measures import MEASURES, measures_in
from dwf_steps.storage.outputs import Outputs

FILES = {
    "dwf_steps/metrics/confidence.py": '''
"""How sure networks are of what they predict."""

import numpy as np

from dwf_steps.storage.outputs import Outputs


def confidence(networks: Outputs) -> np.ndarray:
    """Return the mean over test items of the largest probability, (n,)."""
    return np.exp(networks.predictions.max(axis=2).astype(np.float64)).mean(axis=1)
''',
    "tests/test_confidence.py": '''
"""How sure networks are."""

import numpy as np

from dwf_steps.metrics.confidence import confidence
from dwf_steps.storage.outputs import Outputs


def test_of_a_network_that_is_half_sure() -> None:
    predictions = np.log([[[0.5, 0.25, 0.25], [0.3, 0.5, 0.2]]])
    targets, shifted = np.array([0, 1]), np.empty((1, 0, 3))
    found = confidence(Outputs(np.array(["a"]), predictions, targets, shifted))
    np.testing.assert_allclose(found, [0.5])
''',
}
REGISTRY = "dwf_steps/metrics/measures.py"
FIRST = "from dwf_steps.storage.outputs import Outputs\n"
LAST = '    Measure("brier", ("accuracy",)),\n'
ADDED = "from dwf_steps.metrics.confidence import confidence\n"
ENTRY = '    Measure("confidence", ("accuracy",), confidence),\n'
# Where numbers are predicted, and where classes are imbalanced.
ELSEWHERE = {
    *("spearman", "r2", "mean_absolute_error", "mean_absolute_difference"),
    *("balanced_accuracy", "lowest_class_accuracy"),
}


@pytest.fixture(scope="module")
def added(
    finished: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Checkout, set[str]]]:
    """Return a finished checkout with one more metric, not yet evaluated again, and the files that took."""
    folder = tmp_path_factory.mktemp("metric") / "copy"
    shutil.copytree(finished.folder, folder)
    files = add(folder, FILES, {REGISTRY: (FIRST, ADDED + FIRST)})
    files |= add(folder, {}, {REGISTRY: (LAST, LAST + ENTRY)})
    yield replace(finished, folder=folder), files


def test_it_touches_three_files(added: tuple[Checkout, set[str]]) -> None:
    assert added[1] == {*FILES, REGISTRY}
    assert len(added[1]) <= 3


def test_its_test_passes(added: tuple[Checkout, set[str]]) -> None:
    assert "1 passed" in run_its_tests(added[0])


def test_it_is_evaluated_of_all_networks_and_averaged_in_its_table(added: tuple[Checkout, set[str]]) -> None:
    checkout, _ = added
    ran = executed(checkout.snakemake("tables"))
    assert set(ran) == {"evaluate", "evaluate_zoo", "tabulate"}
    root = checkout.folder / "results"
    cell = root / "micro/none/weights/pca_4/gaussian/none"
    outputs = Outputs.load([cell / "outputs/shard-0.npz"])
    sure = [np.exp(network.astype(float)).max(axis=1).mean() for network in outputs.predictions]
    rows = pd.read_csv(cell / "metrics.csv")
    np.testing.assert_allclose(rows.confidence, sure, rtol=1e-9)

    zoo = pd.read_csv(root / "micro/none/zoo_metrics/none/metrics.csv")
    training = zoo[~zoo.held_out].confidence
    table = pd.read_csv(root / "tables/accuracy.csv").query("metric == 'confidence'")
    assert set(table.generator) == {"gaussian", "flow", "noise"}
    one = table[(table.canonicalization == "none") & (table.generator == "gaussian")].iloc[0]
    assert one.generated_mean == pytest.approx(np.mean(sure))
    assert one.generated_std == pytest.approx(np.std(sure, ddof=1))
    assert (one.zoo_mean, one.zoo_n) == (pytest.approx(training.mean()), 8)


def test_every_measure_is_a_column_of_generated_networks_and_of_the_zoo(finished: Checkout) -> None:
    root = finished.folder / "results/micro/none"
    names = {measure.name for measure in MEASURES}
    assert len(names) == len(MEASURES)
    for path in (root / "weights/pca_4/gaussian/none/metrics.csv", root / "zoo_metrics/none/metrics.csv"):
        assert names - set(pd.read_csv(path).columns) == ELSEWHERE


@pytest.mark.parametrize("table", ["accuracy", "novelty", "distances"])
def test_a_table_states_its_measures_in_the_order_of_the_registry(finished: Checkout, table: str) -> None:
    frame = pd.read_csv(finished.folder / f"results/tables/{table}.csv")
    stated = list(frame.metric.unique()) if table == "accuracy" else list(frame.columns)
    known = [name for name in measures_in(table) if name not in ELSEWHERE]
    expected = known if table == "accuracy" else [f"{name}_mean" for name in known]
    assert [name for name in stated if name in expected] == expected
