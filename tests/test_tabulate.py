"""Tables state what each cell's files say, as often as they are made."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import Checkout

from dwf_steps.reporting import registry
from dwf_steps.reporting.results import Results
from dwf_steps.runtime.errors import InputError
from dwf_steps.tabulate import tabulate


@pytest.fixture(scope="module")
def made(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    results = [Results.open(finished.folder / "results")]
    tabulate(results, folder / "tables", folder / "summary.md", folder / "captions")
    return folder


def test_means_and_deviations_are_those_of_the_networks(finished: Checkout, made: Path) -> None:
    table = pd.read_csv(made / "tables/accuracy.csv")
    rows = table.set_index(["canonicalization", "representation", "subspace", "generator", "metric"])
    assert not rows.index.duplicated().any()
    for (canon, representation, subspace, generator, metric), row in rows.iterrows():
        root = finished.folder / "results/micro" / canon
        own = pd.read_csv(root / representation / subspace / generator / "none/metrics.csv")[metric]
        zoo = pd.read_csv(root / "zoo_metrics/none/metrics.csv").query("not held_out")[metric]
        assert (row.generated_mean, row.zoo_mean) == pytest.approx((own.mean(), zoo.mean()))
        assert (row.generated_std, row.zoo_std) == pytest.approx((own.std(), zoo.std()))
        assert (row.generated_n, row.zoo_n, row.failed_n) == (6, 8, 0)


def test_all_tables_are_those_of_the_workflow(finished: Checkout, made: Path) -> None:
    results = finished.folder / "results"
    names = registry.names("table", Results.open(results).record)
    assert {path.name for path in (made / "tables").iterdir() if path.suffix == ".csv"} >= {
        f"{name}.csv" for name in names
    }
    for name in names:
        for ending in ("csv", "md", "tex"):
            path = made / f"tables/{name}.{ending}"
            assert path.read_bytes() == (results / f"tables/{path.name}").read_bytes(), path.name
    assert (made / "summary.md").read_bytes() == (results / "summary.md").read_bytes()
    for name in registry.captions(Results.open(results).record):
        assert (made / f"captions/{name}.rst").read_text(encoding="utf-8").strip()


def test_two_folders_together_are_repetitions(finished: Checkout, made: Path, tmp_path: Path) -> None:
    twice = [Results.open(finished.folder / "results")] * 2
    tabulate(twice, tmp_path / "tables", tmp_path / "summary.md", tmp_path / "captions")
    one, two = (pd.read_csv(folder / "tables/accuracy.csv") for folder in (made, tmp_path))
    np.testing.assert_allclose(two.generated_mean, one.generated_mean)
    assert (two.generated_n == 2 * one.generated_n).all()


def test_a_folder_without_tables_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; run `snakemake tables` there first"):
        Results.open(tmp_path)


def test_a_changed_result_is_named(finished: Checkout, tmp_path: Path) -> None:
    root = tmp_path / "results"
    shutil.copytree(finished.folder / "results", root)
    path = root / "micro/none/weights/pca_4/gaussian/none/metrics.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("False", "True"), encoding="utf-8")
    with pytest.raises(InputError, match=r"gaussian/none/metrics\.csv: SHA-256 is"):
        tabulate([Results.open(root)], tmp_path / "new", tmp_path / "summary.md", tmp_path / "captions")
