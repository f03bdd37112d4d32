"""The overview: which generators are new, which setting of each is shown, and what its title says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from dwf_steps.reporting import overview as reported
from dwf_steps.reporting.figures import overview as figures
from dwf_steps.reporting.record import KEYS
from dwf_steps.reporting.results import COMPARED, Collection

LABELS = dict.fromkeys(KEYS, "only") | {"recalibration": "none"}
HELD_OUT = 10.0  # mean distance
ARMS: dict[tuple[str, str], tuple[list[float], list[float]]] = {
    # Accuracies and distances of the networks of each generator, by recalibration.
    ("copying", "none"): ([0.9, 0.94], [0.4, 0.6]),
    ("wide scale=1", "none"): ([0.5, 0.7], [9.0, 11.0]),
    ("wide scale=1", "repaired"): ([0.7, 0.9], [9.0, 11.0]),
    ("wide scale=9", "none"): ([0.1, 0.3], [20.0, 30.0]),
    ("narrow", "none"): ([0.6, np.nan], [8.9, 8.9]),
    ("held_out", "none"): ([0.95, 0.95], [10.0, 10.0]),
}


@pytest.fixture
def collection() -> Any:
    networks = [
        LABELS
        | {"generator": generator, "recalibration": recalibration, "run": generator}
        | {"accuracy": accuracy, "realigned_distance": distance, "nn_distance": 2 * distance}
        | {"failed": np.isnan(accuracy)}
        for (generator, recalibration), values in ARMS.items()
        for accuracy, distance in zip(*values, strict=True)
    ]
    generators = [
        {"generator": name, "family": name.partition(" ")[0], "kind": name, "makes": "samples"}
        | {"shows_training": name == "held_out"}
        for name in dict.fromkeys(name for name, _ in ARMS)
    ]
    zoo = pd.DataFrame({"held_out": [False, False, True, True], "accuracy": [0.94, 0.98, 0.9, 1.0]})
    zoo = zoo.assign(realigned_distance=[8.0, 8.0, 9.0, 11.0], nn_distance=[16.0, 16.0, 20.0, 20.0])
    return SimpleNamespace(
        networks=pd.DataFrame(networks),
        generators=pd.DataFrame(generators),
        zoo=lambda keys: zoo.assign(**{level: keys[level] for level in COMPARED}),
    )


@pytest.fixture
def costs(collection: Any) -> pd.DataFrame:
    rows = collection.networks[KEYS].drop_duplicates()
    return rows.assign(fit_seconds=4.0, seconds_per_network=1.0, training_seconds_per_network=30.0)


def accuracies(costs: pd.DataFrame) -> pd.DataFrame:
    of_zoo = costs[KEYS].assign(metric="accuracy", zoo_mean=0.96, zoo_std=0.02)
    return pd.concat([of_zoo, of_zoo.assign(metric="loss", zoo_mean=3.0)])


@pytest.fixture
def table(collection: Collection, costs: pd.DataFrame) -> pd.DataFrame:
    novelty = costs[KEYS].assign(max_iou_mean=0.5, layer_novelty=0.25)
    novelty = novelty.assign(held_out_max_iou_mean=0.4, zoo_max_iou_mean=0.8)
    return reported.overview_table(collection, costs, novelty, accuracies(costs))


def test_the_best_new_networks_come_first(table: pd.DataFrame) -> None:
    assert list(table.generator + " " + table.recalibration) == [
        *("held_out none", "wide scale=1 repaired", "wide scale=1 none", "wide scale=9 none"),
        *("copying none", "narrow none"),
    ]
    np.testing.assert_allclose(table.accuracy_mean, [0.95, 0.8, 0.6, 0.2, 0.92, 0.6])
    np.testing.assert_allclose(table.relative_distance_mean, [1, 1, 1, 2.5, 0.05, 0.89])
    assert list(table.failed_n) == [0, 0, 0, 0, 0, 1]
    np.testing.assert_allclose(table.seconds_with_fit, 1 + 4 / 2)


def test_max_iou_is_relative_to_held_out_networks_or_else_to_the_zoo(
    table: pd.DataFrame, collection: Collection, costs: pd.DataFrame
) -> None:
    np.testing.assert_allclose(table.relative_max_iou, 0.5 / 0.4)
    assert set(table.relative_to) == {reported.HELD_OUT_NETWORKS}
    np.testing.assert_allclose(table[["zoo_accuracy_mean", "zoo_accuracy_std"]], [[0.96, 0.02]] * len(table))
    novelty = costs[KEYS].assign(max_iou_mean=[0.5, 0.0, 0.5, 0.5, 0.5, 0.5], layer_novelty=0.25)
    novelty = novelty.assign(held_out_max_iou_mean=np.nan, zoo_max_iou_mean=[0.25, 0, 0, 1, 1, 1])
    alone = reported.overview_table(collection, costs, novelty, accuracies(costs)).set_index(
        ["generator", "recalibration"]
    )
    assert set(alone.relative_to) == {reported.TRAINING_NETWORKS}
    ratios = alone.relative_max_iou[list(ARMS)]
    # No ratio to networks whose mistakes do not overlap at all.
    np.testing.assert_allclose(ratios, [2, np.nan, np.nan, 0.5, 0.5, 0.5])


def test_distances_before_realigning_are_compared_where_a_generator_has_no_others(collection: Any) -> None:
    collection.networks.loc[collection.networks.generator == "copying", "realigned_distance"] = np.nan
    distances = reported.measured_distances(collection).groupby("generator").relative_distance.mean()
    # Recalibrated alike: those of one recalibration are compared with each other.
    assert distances["copying"] == pytest.approx(2 * 0.5 / 20)
    assert distances["narrow"] == pytest.approx(2 * 8.9 / 20)


def test_of_several_settings_the_most_accurate_new_one_is_shown(
    table: pd.DataFrame, collection: Collection
) -> None:
    rows = reported.shown_settings(table, collection)
    assert list(rows.name + " " + rows.recalibration) == [
        *("wide scale=1 none", "wide scale=1 repaired", "copying none", "narrow none"),
    ]
    # A setting that is less accurate is shown where it alone is new.
    far = table.assign(
        relative_distance_mean=table.relative_distance_mean.where(table.generator != "wide scale=1", 0.5)
    )
    assert "wide scale=9" in set(reported.shown_settings(far, collection).name)


def test_the_title_names_the_best_new_networks_and_more_accurate_copies(
    table: pd.DataFrame, collection: Any
) -> None:
    rows, zoo = reported.shown_settings(table, collection), collection.zoo(LABELS)
    said = reported.message(rows, zoo)
    best, trained = "wide scale=1, recalibrated: 80.0 % accurate", "(training networks: 96.0 %)"
    assert said.headline == f"The best new networks come from {best} {trained}"
    assert said.addition == (
        "The most accurate, those of copying (92.0 %), are copies: at 5 % of a new network's distance"
    )
    none = reported.message(rows.assign(new=False), zoo)
    assert none.headline.startswith("No networks are as new as held-out networks: the newest, those of wide")
    alone = reported.message(rows[rows.new], zoo)
    assert alone.addition == ""


def test_every_panel_has_a_row_for_every_generator_and_bands_of_new_networks(
    table: pd.DataFrame,
    collection: Any,
    costs: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: dict[str, Any] = {}

    def keep(figure: Figure, _path: Path) -> None:
        good, new, cheap = figure.axes
        drawn["rows"] = [text.get_text() for text in good.get_yticklabels()]
        for name, ax in (("good", good), ("new", new), ("cheap", cheap)):
            marks = [line.get_xydata() for line in ax.get_lines() if line.get_marker() in ("o", "D")]
            drawn[name] = np.concatenate(marks)
        drawn["bands"] = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in new.patches]

    monkeypatch.setattr(figures, "write_figure", keep)
    figures.overview(collection, tmp_path / "overview.pdf", table, costs)
    assert drawn["rows"] == [
        *("As new as held-out networks", "wide scale=1", "Closer to training networks", "copying", "narrow"),
    ]
    np.testing.assert_allclose(drawn["good"], [[0.6, 1], [0.8, 1], [0.92, 3], [0.6, 4]])
    np.testing.assert_allclose(drawn["new"], [[1, 1], [1, 1], [0.05, 3], [0.89, 4]])
    np.testing.assert_allclose(drawn["cheap"], [[1, 1], [1, 1], [1, 3], [1, 4]])
    np.testing.assert_allclose(drawn["bands"], [[0.8, 0.8], [0.91, 1.09]])
