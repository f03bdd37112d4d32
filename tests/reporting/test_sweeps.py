"""Studies: settings beside the zoo's own values, and generators that are swept over the same settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dwf_steps.config.generators.base import GeneratorFacts
from dwf_steps.config.workflow import Cell
from dwf_steps.reporting.figures import novelty, seconds, studies
from dwf_steps.reporting.record import KEYS, ExperimentRecord, MemberRecord, family_of
from dwf_steps.reporting.results import COMPARED, Collection, Results
from dwf_steps.reporting.sweeps import sweep_table

PROBES = (50, 1000)


def members(family: str) -> dict[str, MemberRecord]:
    return {
        f"{family}_{probes}": MemberRecord(
            family=family, values={"probes": probes}, setting={"probes": probes}
        )
        for probes in PROBES
    }


RECORD = ExperimentRecord(
    cells=[
        *(Cell("mine", "none", name, "all", "gaussian", "none") for name in members("responses")),
        *(Cell("mine", "none", "weights", "all", name, "none") for name in members("taught")),
    ],
    members={"representations": members("responses"), "generators": members("taught")},
    generators={
        name: GeneratorFacts(
            kind="mine",
            control=True,
            shows_training=False,
            costs_training=False,
            makes="samples" if name == "gaussian" else "networks",
        )
        for name in ("gaussian", *members("taught"))
    },
    fitted_by={},
    zoo_networks={"mine": 4},
    zoo_trainings={"mine": 4},
    samples={"gaussian": 2},
)
LABELS = [
    dict(zip(KEYS, Results(Path(), RECORD).labels(cell).values(), strict=True)) for cell in RECORD.cells
]
ACCURACIES = ([0.5, 0.7, np.nan], [0.8, 0.9], [0.3, 0.4], [0.9, 1.0])
DISTANCES = (12.0, 6.0, 3.0, 4.5)


@pytest.fixture
def collection() -> Collection:
    """Return two settings of a representation and two of a generator, two networks each; one more failed."""
    rows = [
        labels
        | {"accuracy": accuracy, "loss": 1 - accuracy, "max_iou": accuracy / 2, "failed": np.isnan(accuracy)}
        | {"nn_distance": 2 * distance, "realigned_distance": distance, "run": "here"}
        for labels, accuracies, distance in zip(LABELS, ACCURACIES, DISTANCES, strict=True)
        for accuracy in accuracies
    ]
    zoo = {
        "held_out": [False, False, True],
        "accuracy": [0.9, 0.8, 0.7],
        "max_iou": [0.5, 0.3, 0.2],
        "nn_distance": [8.0, 8.0, 10.0],
        "realigned_distance": [4.0, 4.0, 6.0],
    }
    found = Collection([Results(Path("nowhere"), RECORD)])
    found.networks = pd.DataFrame(rows)
    found.zoos = pd.DataFrame(zoo).assign(**{level: LABELS[0][level] for level in COMPARED}, run="here")
    return found


@pytest.fixture
def costs() -> pd.DataFrame:
    seconds = {"fit_seconds": 0.0, "peak_memory_mb": 1.0}
    return pd.DataFrame(
        [labels | seconds | {"seconds_per_network": 1.0 + i} for i, labels in enumerate(LABELS)]
    )


def test_a_representations_study_has_the_generators_swept_alike(
    collection: Collection, costs: pd.DataFrame
) -> None:
    table = sweep_table(collection, costs, "responses", "representation")
    assert list(table.generator) == ["gaussian", "gaussian", "taught", "taught"]
    assert list(table.probes) == [*PROBES, *PROBES] and set(table.swept) == {"responses"}
    assert "representation" not in table
    assert list(table.accuracy_mean) == pytest.approx([0.6, 0.85, 0.35, 0.95])
    assert list(table.accuracy_std) == pytest.approx([0.2 / 2**0.5, *[0.1 / 2**0.5] * 3])
    assert list(table.realigned_distance_mean) == list(DISTANCES)
    assert list(table.n) == [2] * 4 and list(table.failed_n) == [1, 0, 0, 0]
    # Each row has its own costs, and the zoo's values.
    assert list(table.seconds_per_network) == [1, 2, 3, 4]
    assert list(table.zoo_accuracy_mean) == pytest.approx([0.85] * 4)
    assert list(table.held_out_max_iou_mean) == [0.2] * 4 and list(table.zoo_max_iou_mean) == [0.4] * 4


def test_a_generators_study_has_that_generator_only(collection: Collection, costs: pd.DataFrame) -> None:
    table = sweep_table(collection, costs, "taught", "generator")
    assert list(table.probes) == list(PROBES) and "generator" not in table
    assert list(table.accuracy_mean) == pytest.approx([0.35, 0.95])


def test_distances_are_relative_to_held_out_networks_else_to_the_zoo(
    collection: Collection, costs: pd.DataFrame
) -> None:
    table = sweep_table(collection, costs, "responses", "representation")
    relative = studies.relative_distances(table)
    assert list(relative.distance_mean) == [2.0, 1.0, 0.5, 0.75]
    assert set(relative.zoo_distance_mean) == {4 / 6} and set(relative.held_out_distance_mean) == {1}
    none = table.assign(held_out_realigned_distance_mean=np.nan)
    assert list(studies.relative_distances(none).distance_mean) == [3.0, 1.5, 0.75, 1.125]
    # Where some were not realigned, all are compared before.
    some = table.assign(realigned_distance_mean=[np.nan, *DISTANCES[1:]])
    assert list(studies.relative_distances(some).distance_mean) == pytest.approx([2.4, 1.2, 0.6, 0.9])


def test_the_figure_shows_a_line_a_generator_the_zoo_and_held_out_networks(
    collection: Collection, costs: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, Any]] = []
    scales: set[str] = set()
    bands: list[list[tuple[float, float]]] = []

    def keep(figure: Any, _path: Path) -> None:
        for ax in figure.axes:
            drawn.append({line.get_label(): line.get_xydata() for line in ax.get_lines()})
            scales.add(ax.get_xscale())
            bands.append([(band.get_y(), band.get_y() + band.get_height()) for band in ax.patches])

    monkeypatch.setattr(studies, "save", keep)
    table = sweep_table(collection, costs, "responses", "representation")
    studies.sweep(collection, tmp_path / "sweep.pdf", table, "responses", "representation")
    accuracy, distance, iou = drawn
    np.testing.assert_allclose(accuracy["gaussian"], np.transpose([PROBES, [0.6, 0.85]]))
    np.testing.assert_allclose(accuracy["taught"], np.transpose([PROBES, [0.35, 0.95]]))
    np.testing.assert_allclose(distance["gaussian"], np.transpose([PROBES, [2, 1]]))
    np.testing.assert_allclose(iou["taught"], np.transpose([PROBES, [0.175, 0.475]]))
    for lines, zoo, held_out in ((accuracy, 0.85, 0.7), (distance, 4 / 6, 1), (iou, 0.4, 0.2)):
        np.testing.assert_allclose(lines["zoo"][:, 1], zoo)
        np.testing.assert_allclose(lines["held-out networks"][:, 1], held_out)
    assert scales == {"log"}  # 50 to 1000
    # The 5th to the 95th percentile of two training networks and of one held out.
    np.testing.assert_allclose(bands[0], [[0.805, 0.895], [0.7, 0.7]])
    np.testing.assert_allclose(bands[1], [[4 / 6, 4 / 6], [1, 1]])


def test_studies_of_a_zoo_have_equal_ranges_and_titles_that_name_the_best_new_networks(
    collection: Collection, costs: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges, titles = [], []

    def keep(figure: Any, _path: Path) -> None:
        ranges.append([ax.get_ylim() for ax in figure.axes])
        titles.append(figure.get_suptitle().replace("\n", " "))

    monkeypatch.setattr(studies, "save", keep)
    for family, level in (("responses", "representation"), ("taught", "generator")):
        table = sweep_table(collection, costs, family, level)
        studies.sweep(collection, tmp_path / "sweep.pdf", table, family, level)
    np.testing.assert_allclose(*ranges)
    accuracy, distance, iou = ranges[0]
    # Means from 0.35 to 0.95 and distances up to 2 are seen, and what copies would have.
    assert 0 < accuracy[0] < 0.35 and 0.95 < accuracy[1] < 1
    assert distance[0] < 0 and distance[1] > 2
    assert iou[0] < 0 and iou[1] > 1
    best, none = "of the networks that are as new as held-out ones", "no networks are as new as held-out ones"
    assert titles == [
        f"responses: {best}, the most accurate score 85.0 % (probes=1000, gaussian)",
        f"taught: {none}; the most accurate score 95.0 % (probes=1000), at 75 % of new networks' distance",
    ]


def test_zoos_along_a_study_have_bands_that_follow_them(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoos = [f"size seeds={seeds}" for seeds in (20, 40)]
    member = {
        f"size_{seeds}": MemberRecord(family="size", values={"seeds": seeds}, setting={"seeds": seeds})
        for seeds in (20, 40)
    }
    cells = [Cell(name, "none", "weights", "all", "gaussian", "none") for name in member]
    record = RECORD.model_copy(update={"cells": cells, "members": {"zoos": member}})
    found = Collection([Results(Path("nowhere"), record)])
    labels = LABELS[0] | {"representation": "weights", "generator": "gaussian"}
    networks = collection.networks[:2]
    found.networks = pd.concat([networks.assign(**labels | {"zoo": zoo}) for zoo in zoos], ignore_index=True)
    found.zoos = pd.concat(
        [collection.zoos.assign(zoo=zoo, accuracy=[0.9 - i / 10, 0.8, 0.7]) for i, zoo in enumerate(zoos)],
        ignore_index=True,
    )
    seconds = {"fit_seconds": 0.0, "seconds_per_network": 1.0}
    table = sweep_table(found, pd.DataFrame([labels | seconds | {"zoo": zoo} for zoo in zoos]), "size", "zoo")
    bands: list[np.ndarray] = []

    def keep(figure: Any, _path: Path) -> None:
        bands.extend(band.get_paths()[0].vertices for band in figure.axes[0].collections if band.get_paths())

    monkeypatch.setattr(studies, "save", keep)
    studies.sweep(found, tmp_path / "sweep.pdf", table, "size", "zoo")
    # Training networks of 0.9 and 0.8, then of 0.8 and 0.8.
    followed = [set(map(tuple, band.round(6))) for band in bands]
    assert {(20, 0.805), (20, 0.895), (40, 0.8)} in followed


def test_settings_of_a_representation_are_one_curve_and_made_networks_have_none(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = LABELS[0] | {"representation": "weights"}
    networks = collection.networks
    collection.networks = pd.concat([networks, networks[:1].assign(**more)], ignore_index=True)
    drawn: dict[str, np.ndarray] = {}

    def keep(figure: Any, _path: Path) -> None:
        drawn.update({line.get_label(): line.get_xydata() for line in figure.axes[0].get_lines()})
        drawn.update({text.get_text(): np.empty(0) for text in figure.axes[0].texts})

    for module in (novelty, seconds):
        monkeypatch.setattr(module, "save", keep)
    costs = pd.DataFrame(
        [
            labels | {"fit_seconds": 0.0, "seconds_per_network": 1.0 + i, "training_seconds_per_network": 9.0}
            for i, labels in enumerate([*LABELS, more])
        ]
    )
    seconds.accuracy_against_seconds(collection, tmp_path / "figure.pdf", costs)
    np.testing.assert_allclose(drawn["gaussian (responses)"], [[1, 0.6], [2, 0.85]])
    np.testing.assert_allclose(drawn["gaussian (weights)"], [[5, 0.5]])
    np.testing.assert_allclose(drawn["taught"], [[3, 0.35], [4, 0.95]])
    novelty.accuracy_at_novelty(collection, tmp_path / "figure.pdf")
    assert {"gaussian (responses)", "gaussian (weights)", "taught"} <= set(drawn)


def test_a_label_starts_with_its_family() -> None:
    for name in members("responses"):
        assert family_of(RECORD.label("representation", name)) == "responses"
    assert family_of(RECORD.label("representation", "weights")) == "weights"
