"""Accuracy against seconds: whose seconds are counted, and how fits are shared."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from dwf_steps.reporting.costs import seconds_points
from dwf_steps.reporting.figures import seconds
from dwf_steps.reporting.record import KEYS
from dwf_steps.reporting.results import COMPARED

LABELS = dict.fromkeys(KEYS, "only")
ACCURACIES = {"flow": [0.8, 0.9, 0.7, np.nan], "taught steps=1": [0.5, 0.6], "taught steps=9": [0.9, 0.7]}
COSTS = {"flow": (12.0, 0.25), "taught steps=1": (0.0, 0.5), "taught steps=9": (0.0, 2.0)}


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([LABELS | row for row in rows])


def collection() -> Any:
    """Return three settings of two generators; the flow's networks are of two runs, one of them failed."""
    networks = [
        {"generator": name, "accuracy": value, "failed": np.isnan(value), "run": f"{name}{i % 2}"}
        for name, values in ACCURACIES.items()
        for i, value in enumerate(values if name == "flow" else np.repeat(values, 2))
    ]
    generators = [
        {
            "generator": name,
            "family": name.split()[0],
            "kind": name.split()[0],
            "control": name != "flow",
            "makes": "samples" if name == "flow" else "networks",
        }
        for name in ACCURACIES
    ]
    zoo = pd.DataFrame({"accuracy": [0.95, 0.97, 0.1], "held_out": [False, False, True]})
    return SimpleNamespace(
        networks=frame(networks), generators=pd.DataFrame(generators), zoo=lambda _: zoo.assign(**LABELS)
    )


def costs() -> pd.DataFrame:
    return frame(
        [
            {
                "generator": name,
                "fit_seconds": fit,
                "seconds_per_network": each,
                "training_seconds_per_network": 30.0,
            }
            for name, (fit, each) in COSTS.items()
        ]
    )


def test_the_fit_is_divided_over_the_networks_of_a_run() -> None:
    points = seconds_points(collection(), costs()).set_index("generator")
    assert points.accuracy.to_dict() == pytest.approx({n: np.nanmean(a) for n, a in ACCURACIES.items()})
    assert points.seconds.to_dict() == {name: each for name, (_, each) in COSTS.items()}
    # Of four networks in two runs a fit each made two.
    assert points.seconds_with_fit["flow"] == 0.25 + 12 / 2
    assert points.seconds_with_fit["taught steps=9"] == 2.0


def test_a_line_joins_a_generators_settings_and_open_marks_have_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Any] = {}

    def keep(figure: Any, path: Path) -> None:
        (ax,) = figure.axes
        drawn["ax"], drawn["path"] = ax, path
        drawn["lines"] = {line.get_label(): line.get_xydata() for line in ax.get_lines()}

    monkeypatch.setattr(seconds, "save", keep)
    seconds.accuracy_against_seconds(collection(), tmp_path / "figure.pdf", costs())
    ax: Axes = drawn["ax"]
    assert ax.get_xscale() == "log"
    lines = drawn["lines"]
    np.testing.assert_allclose(lines["taught"], [[0.5, 0.55], [2.0, 0.8]])
    np.testing.assert_allclose(lines["flow"], [[0.25, 0.8]])
    np.testing.assert_allclose(lines["zoo"], [[30.0, 0.96]])
    unnamed = [xy for label, xy in lines.items() if label.startswith("_") and len(xy)]
    np.testing.assert_allclose(unnamed, [[[6.25, 0.8]]])
    assert set(COMPARED) < set(KEYS)
