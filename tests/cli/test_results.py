"""The table that `make results` prints: accuracies in per cent, and novelty relative to new networks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dwf_steps.cli.results import overview_of, show_results, shown
from dwf_steps.reporting.overview import HELD_OUT_NETWORKS, TRAINING_NETWORKS
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.csv_tables import write_csv


@pytest.fixture
def overview() -> pd.DataFrame:
    levels = {"zoo": "digits", "canonicalization": "git_rebasin", "representation": "weights"}
    levels |= {"subspace": "pca_99", "recalibration": "none"}
    return pd.DataFrame({"generator": ["chosen", "copies", "broken"]}).assign(
        **levels,
        accuracy_mean=[0.9612, 0.967, np.nan],
        accuracy_std=[0.0051, np.nan, np.nan],
        relative_distance_mean=[1.1, 0.04, np.nan],
        relative_distance_std=[0.1, 0.01, np.nan],
        zoo_accuracy_mean=0.969,
        zoo_accuracy_std=0.006,
        relative_max_iou=[0.98, 1.19, np.nan],
        relative_to=HELD_OUT_NETWORKS,
        layer_novelty=[0.94, 0.04, np.nan],
        failed_n=[0, 0, 3],
    )


def cells(printed: str) -> list[list[str]]:
    """Return the cells of the printed table, the header first."""
    lines = printed.split("\n\n")[0].splitlines()
    starts = [0, *(i for i in range(1, len(lines[1])) if lines[1][i - 1 : i + 1] == " -")]
    rows = [line for i, line in enumerate(lines) if i != 1]
    return [
        [row[left:right].strip() for left, right in zip(starts, [*starts[1:], None], strict=True)]
        for row in rows
    ]


def test_novelty_is_printed_as_ratios_beside_accuracy_in_per_cent(overview: pd.DataFrame) -> None:
    header, *rows = cells(shown(overview))
    assert header[4:] == ["generator", "accuracy %", "zoo %", "distance", "layer", "IoU", "failed"]
    assert [row[4:] for row in rows] == [
        ["chosen", "96.1 ± 0.5", "96.9 ± 0.6", "1.10", "0.94", "0.98", "0"],
        ["copies", "96.7", "96.9 ± 0.6", "0.04", "0.04", "1.19", "0"],
        ["broken", "", "96.9 ± 0.6", "", "", "", "3"],
    ]


def test_recalibrations_are_told_apart(overview: pd.DataFrame) -> None:
    several = overview.assign(recalibration=["none", "none", "repaired"])
    header, *rows = cells(shown(several))
    assert header[5] == "recalibration" and [row[5] for row in rows] == ["none", "none", "repaired"]


def test_it_is_said_to_which_networks_ratios_are(overview: pd.DataFrame) -> None:
    alone = shown(overview).splitlines()[-1]
    assert alone.startswith("all three relative to the mean of held-out networks")
    other = overview.assign(zoo="wine", relative_to=TRAINING_NETWORKS)
    first, second = shown(pd.concat([overview, other])).splitlines()[-2:]
    assert first == f"digits: {alone}"
    assert second.startswith("wine: all three relative to the mean of training networks, each left out")


def test_the_summary_and_all_paths_follow(
    overview: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tables").mkdir()
    write_csv(tmp_path / "tables/overview.csv", overview)
    (tmp_path / "summary.md").write_text("# What was found\n\n- digits: a line.\n", encoding="utf-8")
    (tmp_path / "report.html").touch()
    show_results(tmp_path)
    printed = capsys.readouterr().out
    assert printed.startswith(shown(overview_of(tmp_path)))
    assert "\n- digits: a line.\n" in printed
    assert f"tables   {tmp_path}/tables/overview.csv\nreport   {tmp_path}/report.html\n" in printed


def test_without_tables_the_command_that_makes_them_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"overview\.csv.*run `snakemake` first"):
        show_results(tmp_path)
