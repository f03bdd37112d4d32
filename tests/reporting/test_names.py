"""Names that look like numbers, or like missing values, stay names in tables and figures."""

import shutil
from pathlib import Path

import pytest
from checkout import Checkout

from dwf_steps.cli.results import overview_of, shown
from dwf_steps.plot import plot
from dwf_steps.reporting.record import RECORD, ExperimentRecord
from dwf_steps.reporting.results import Results
from dwf_steps.storage.csv_tables import read_csv
from dwf_steps.tabulate import tabulate

CELL = ("micro", "git_rebasin", "weights", "pca_4", "flow", "none")
RENAMED = ("2024", "null", "1e3", "007", "na", "none")


@pytest.fixture
def renamed(finished: Checkout, tmp_path: Path) -> Results:
    """Return the results of one cell under other names."""
    source, root = finished.folder / "results", tmp_path / "results"
    for base in (".", "benchmarks"):
        for depth in range(1, 6):
            target = root.joinpath(base, *RENAMED[:depth])
            target.mkdir(parents=True, exist_ok=True)
            for path in source.joinpath(base, *CELL[:depth]).iterdir():
                if path.is_file():
                    shutil.copy(path, target)
                elif path.name in ("zoo_metrics", "networks", "none"):
                    shutil.copytree(path, target / path.name)
    for path in (source / "micro/git_rebasin/responses").glob("*.csv*"):  # and their digests
        shutil.copy(path, root.joinpath(*RENAMED[:3]))
    record = Results.open(source).record
    own = {
        "cells": [RENAMED],
        "generators": {"na": record.generators[CELL[4]].model_dump()},
        "fitted_by": {"na": "na"},
        "zoo_networks": {"2024": 10},
        "zoo_trainings": {"2024": 10},
        "samples": {"na": 6},
    }
    return Results(root, ExperimentRecord.model_validate(record.model_dump() | own))


def test_names_that_pandas_would_read_otherwise_reach_every_table_and_figure(renamed: Results) -> None:
    tables = renamed.root / "tables"
    tabulate([renamed], tables, renamed.root / "summary.md", renamed.root / "captions")
    for name in ("accuracy", "novelty", "distances", "sets", "cost", "ensembles", "precision"):
        frame = read_csv(tables / f"{name}.csv")
        generated = frame[frame.generator == "na"]
        assert len(generated)
        levels = generated[["zoo", "canonicalization", "representation", "subspace"]]
        assert set(levels.itertuples(index=False, name=None)) == {RENAMED[:4]}
    for name in ("representation", "representation_layers"):
        levels = read_csv(tables / f"{name}.csv")[["zoo", "canonicalization", "representation"]]
        assert set(levels.itertuples(index=False, name=None)) == {RENAMED[:3]}
    text = (tables / "accuracy.md").read_text(encoding="utf-8")
    assert "| 2024 " in text and "| null " in text and "| 007 " in text and "nan" not in text
    assert (renamed.root / "summary.md").read_text(encoding="utf-8").count("- 2024: ") == 1
    printed = shown(overview_of(renamed.root)).splitlines()[2]
    assert printed.split()[:5] == [*RENAMED[:5]]

    plot(renamed.root, renamed.root / "figures")
    assert (renamed.root / "figures/ensembles.png").stat().st_size > 1000
    assert (renamed.root / RECORD).is_file()
