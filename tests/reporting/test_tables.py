"""Tables of what is good and new, computed by hand for a few networks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dwf_steps.config.generators.base import GeneratorFacts
from dwf_steps.reporting.record import KEYS, ExperimentRecord
from dwf_steps.reporting.results import COMPARED, Collection, Results
from dwf_steps.reporting.tables import (
    class_accuracy_table,
    good_and_new_table,
    layers_table,
    novelty_table,
    precision_table,
)
from dwf_steps.reporting.writing import write_table

LABELS = dict.fromkeys(KEYS, "none") | {"zoo": "mine", "generator": "flow"}
ZOO_LABELS = {level: LABELS[level] for level in COMPARED}
FLOW = GeneratorFacts(kind="flow", control=False, shows_training=False, costs_training=False)
RECORD = ExperimentRecord(
    cells=[tuple(LABELS.values())],
    members={},
    generators={"flow": FLOW},
    fitted_by={"flow": "flow"},
    zoo_networks={"mine": 4},
    zoo_trainings={"mine": 4},
    samples={"flow": 4},
    good_margin=0.15,
    novelty_factors=(0.5, 1, 2),
)
NOTHING = np.nan


def collection(networks: pd.DataFrame, zoo: pd.DataFrame) -> Collection:
    found = Collection([Results(Path(), RECORD)])
    found.networks = networks.assign(**LABELS, run="here")
    found.zoos = zoo.assign(**ZOO_LABELS, run="here", network=[f"seed-{i}" for i in range(len(zoo))])
    return found


@pytest.fixture
def zoo() -> pd.DataFrame:
    """Return three training networks, of mean accuracy 0.8 and mean distances 10 and 5, and a held-out
    one."""
    return pd.DataFrame(
        {
            "held_out": [False, False, False, True],
            "accuracy": [0.9, 0.8, 0.7, 0.75],
            "nn_distance": [8.0, 10.0, 12.0, 11.0],
            "realigned_distance": [4.0, 6.0, NOTHING, 5.0],
        }
    )


def shares(table: pd.DataFrame, column: str) -> list[float]:
    return table.set_index("factor")[column].tolist()


def test_a_network_must_be_both_good_and_new(zoo: pd.DataFrame) -> None:
    networks = pd.DataFrame(
        {
            "failed": False,
            "accuracy": [0.95, 0.71, 0.3, 0.8],  # good: at least 0.65
            "nn_distance": [1.0, 30.0, 30.0, 30.0],
            "realigned_distance": [0.5, 10.0, 20.0, 4.0],  # 0.1, 2, 4 and 0.8 times the zoo's
        }
    )
    table = good_and_new_table(collection(networks, zoo))
    assert set(table.score) == {"accuracy"} and set(table.margin) == {0.15}
    assert shares(table, "good") == [0.75] * 3
    assert shares(table, "new") == [0.75, 0.5, 0.5]
    assert shares(table, "good_and_new") == [0.5, 0.25, 0.25]
    # Its own: 0.8 and 1.2 times as far, and 1.2 before matching where it was not matched; all are good.
    assert shares(table, "zoo_good_and_new") == [pytest.approx(1), pytest.approx(2 / 3), 0]
    assert shares(table, "zoo_good") == [pytest.approx(1)] * 3
    assert shares(table, "held_out_good_and_new") == [1, 1, 0]


def test_networks_that_were_not_matched_are_compared_before_matching(zoo: pd.DataFrame) -> None:
    networks = pd.DataFrame(
        {
            "failed": False,
            "accuracy": 0.8,
            "nn_distance": [19.0, 20.0, 9.0, 4.0],
            "realigned_distance": [10.0, NOTHING, NOTHING, NOTHING],
        }
    )
    assert shares(good_and_new_table(collection(networks, zoo)), "new") == [0.75, 0.5, 0.5]


def test_failed_networks_are_neither(zoo: pd.DataFrame) -> None:
    networks = pd.DataFrame(
        {
            "failed": [False, True],
            "accuracy": [0.8, NOTHING],
            "nn_distance": [30.0, NOTHING],
            "realigned_distance": [30.0, NOTHING],
        }
    )
    table = good_and_new_table(collection(networks, zoo))
    assert shares(table, "good_and_new") == shares(table, "good") == shares(table, "new") == [0.5] * 3


def test_numbers_are_good_by_their_rank_correlation(zoo: pd.DataFrame) -> None:
    networks = pd.DataFrame(
        {
            "failed": False,
            "accuracy": [1.0, 0.1],
            "spearman": [0.2, 0.45],
            "nn_distance": 30.0,
            "realigned_distance": 30.0,
        }
    )
    table = good_and_new_table(collection(networks, zoo.assign(spearman=[0.4, 0.5, 0.6, 0.5])))
    assert set(table.score) == {"spearman"}
    assert shares(table, "good_and_new") == [0.5] * 3


def test_without_held_out_networks_there_are_no_shares_of_them(zoo: pd.DataFrame) -> None:
    networks = pd.DataFrame(
        {"failed": False, "accuracy": [0.8], "nn_distance": [30.0], "realigned_distance": [30.0]}
    )
    table = good_and_new_table(collection(networks, zoo[~zoo.held_out]))
    assert table.held_out_good_and_new.isna().all() and shares(table, "good_and_new") == [1, 1, 1]


def with_layers(held_out: bool) -> Collection:
    """Return a collection whose two layers have known mean distances."""
    found = Collection([Results(Path(), RECORD)])
    layers = ["first", "second"]
    found.layers = pd.DataFrame({"layer": layers * 2, "distance": [1.0, 6.0, 3.0, 10.0]}).assign(
        **LABELS, run="here", network=["a", "a", "b", "b"]
    )
    rows = [("s0", False, 4.0, 9.0), ("s1", False, 6.0, 11.0), ("s2", True, 8.0, 4.0)][: 3 if held_out else 2]
    found.zoo_layers = pd.DataFrame(
        [
            {"network": name, "held_out": out, "layer": layer, "distance": distance}
            for name, out, *distances in rows
            for layer, distance in zip(layers, distances, strict=True)
        ]
    ).assign(**ZOO_LABELS, run="here")
    return found


@pytest.mark.parametrize(("held_out", "ratios"), [(True, [0.25, 2.0]), (False, [0.4, 0.8])])
def test_ratios_are_to_held_out_networks_or_to_the_zoos_own(held_out: bool, ratios: list[float]) -> None:
    table = layers_table(with_layers(held_out))
    assert table.layer.tolist() == ["first", "second"]
    assert table.distance_mean.tolist() == [2, 8]
    assert table.zoo_distance_mean.tolist() == [5, 10]
    np.testing.assert_array_equal(table.held_out_distance_mean, [8, 4] if held_out else [np.nan] * 2)
    np.testing.assert_allclose(table.ratio, ratios)


def test_a_layer_that_all_networks_share_has_no_ratio() -> None:
    found = with_layers(held_out=True)
    found.zoo_layers.loc[found.zoo_layers.layer == "first", "distance"] = 0.0
    assert layers_table(found).ratio.isna().tolist() == [True, False]


def test_layer_novelty_is_the_least_ratio(zoo: pd.DataFrame) -> None:
    measured = ["max_iou", "mean_iou", "disagreement", "jensen_shannon", "prediction_distance", "nn_distance"]
    networks = pd.DataFrame(dict.fromkeys([*measured, "accuracy"], 1.0), index=range(2)).assign(failed=False)
    found = collection(networks, zoo.assign(**dict.fromkeys(measured[:-1], 1.0)))
    table = novelty_table(found, layers_table(with_layers(held_out=True)))
    assert table.layer_novelty.tolist() == [0.25]


def test_where_nothing_was_realigned_the_table_is_empty_and_can_be_written(
    zoo: pd.DataFrame, tmp_path: Path
) -> None:
    found = with_layers(held_out=True)
    found.layers, found.zoo_layers = found.layers[:0], found.zoo_layers[:0]
    table = layers_table(found)
    assert len(table) == 0 and list(table)[-1] == "ratio"
    write_table(table, tmp_path / "layers.csv")
    assert "ratio" in (tmp_path / "layers.md").read_text(encoding="utf-8")
    assert r"\toprule" in (tmp_path / "layers.tex").read_text(encoding="utf-8")
    networks = pd.DataFrame({"failed": [False], "accuracy": 1.0, "nn_distance": 1.0})
    for measure in ("max_iou", "mean_iou", "disagreement", "jensen_shannon", "prediction_distance"):
        networks[measure] = zoo[measure] = 1.0
    assert novelty_table(collection(networks, zoo), table).layer_novelty.isna().tolist() == [True]


def by_class(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["network", "class", "accuracy"])
    return frame.assign(examples=frame["class"].map({"NA": 30, "007": 3}))


def test_each_class_has_the_accuracy_of_both_and_the_spread_of_generated_networks(zoo: pd.DataFrame) -> None:
    networks = pd.DataFrame({"failed": [False, False, True], "accuracy": [0.5, 0.7, NOTHING]})
    found = collection(networks, zoo)
    rows = [("a", "NA", 0.9), ("a", "007", 0.0), ("b", "NA", 0.7), ("b", "007", 1.0)]
    found.classes = by_class(rows).assign(**LABELS, run="here")
    rows = [("s0", "NA", 1.0), ("s0", "007", 0.5), ("s1", "NA", 0.5), ("s1", "007", 1.0), ("s2", "NA", 0.0)]
    of_zoo = by_class(rows).assign(**ZOO_LABELS, run="here")
    found.zoo_classes = of_zoo.assign(held_out=of_zoo.network == "s2")
    table = class_accuracy_table(found)
    assert list(table) == [
        *(*KEYS, "class", "examples", "zoo_mean", "generated_mean", "generated_std", "generated_n")
    ]
    assert table["class"].tolist() == ["NA", "007"] and table.examples.tolist() == [30, 3]
    assert table.zoo_mean.tolist() == [0.75, 0.75] and table.generated_n.tolist() == [2, 2]
    np.testing.assert_allclose(table.generated_mean, [0.8, 0.5])
    np.testing.assert_allclose(table.generated_std, [np.std([0.9, 0.7], ddof=1), np.sqrt(0.5)])


def test_a_generator_whose_networks_all_failed_has_rows_without_accuracies(zoo: pd.DataFrame) -> None:
    found = collection(pd.DataFrame({"failed": [True], "accuracy": NOTHING}), zoo)
    of_zoo = by_class([("s0", "NA", 1.0), ("s0", "007", 0.5)]).assign(**ZOO_LABELS, run="here")
    found.zoo_classes = of_zoo.assign(held_out=False)
    found.classes = by_class([]).assign(**LABELS, run="here").astype({"class": str, "accuracy": float})
    table = class_accuracy_table(found)
    assert table.zoo_mean.tolist() == [1.0, 0.5] and table.generated_n.tolist() == [0, 0]
    assert table.generated_mean.isna().all()


@pytest.mark.parametrize("others", [0, 2])
def test_networks_that_are_not_decoded_have_no_errors_of_decoding(
    others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"stored_as": "float32", "storage_error": 0.0, "decoding_error": 1e-7}
    rows = [LABELS | {"generator": "distilled", "seconds": 3.0}] + others * [LABELS | facts]
    found = Collection([Results(Path(), RECORD)])
    monkeypatch.setattr(found, "manifests", lambda: pd.DataFrame(rows))
    table = precision_table(found)
    assert set(facts) < set(table.columns)
    assert table.generator.to_list() == ["flow"][:others]
