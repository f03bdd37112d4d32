"""The same generators in two representations are told apart in tables, costs and figures."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from checkout import Checkout
from matplotlib.figure import Figure

from dwf_steps.config.workflow import Cell
from dwf_steps.reporting.figures import fits, novelty, overview, seconds, studies
from dwf_steps.reporting.record import KEYS
from dwf_steps.reporting.registry import asked, import_maker
from dwf_steps.reporting.results import Collection, Results
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.tabulate import made

GRAM_SECONDS = 100.0


@pytest.fixture(scope="module")
def collection(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Return the results of one canonicalization twice, the second time as if in another representation,
    whose Gram matrix took longer."""
    root = tmp_path_factory.mktemp("two") / "results"
    shutil.copytree(finished.folder / "results", root)
    for base in (root, root / "benchmarks"):
        canon = base / "micro/git_rebasin"
        shutil.copytree(canon / "weights", canon / "others")
    for path in (root / "benchmarks/micro/git_rebasin/others").glob("accumulate_gram-*.tsv"):
        measured = pd.read_csv(path, sep="\t")
        measured.assign(s=measured.s + GRAM_SECONDS).to_csv(path, sep="\t", index=False)
    exact = {"held_out": [False], "metric": "accuracy", "trained": 0.9, "decoded": 0.8, "agreement": 0.7}
    exact |= {"iou": 0.6, "weight_error": 0.5, "coordinate_error": 0.4}
    write_csv(root / "micro/git_rebasin/others/exactness.csv", pd.DataFrame(exact))
    shares = pd.DataFrame({"layer": ["layers.0.responses"], "training": 0.9, "held_out": 0.8})
    write_csv(root / "micro/git_rebasin/others/shares.csv", shares)
    record = Results.open(root).record
    chosen = ("git_rebasin", "weights")
    cells = [cell for cell in record.cells if (cell.canon, cell.representation) == chosen]
    both = [*cells, *(Cell(**cell._asdict() | {"representation": "others"}) for cell in cells)]
    return Collection([Results(root, record.model_copy(update={"cells": both}))])


@pytest.fixture(scope="module")
def tables(collection: Collection) -> dict[str, pd.DataFrame]:
    return made(collection, list(asked("table", *(results.record for results in collection.results))))


def test_every_table_has_the_same_rows_for_both(tables: dict[str, pd.DataFrame]) -> None:
    random = "p_best"  # of a bootstrap, whose draws go on from row to row
    for name in ("accuracy", "novelty", "distances", "sets", "novelty_accuracy", "precision"):
        halves = [
            rows.drop(columns=["representation", random], errors="ignore").reset_index(drop=True)
            for _, rows in tables[name].groupby("representation")
        ]
        assert len(halves) == 2, name
        pd.testing.assert_frame_equal(*halves)


def test_the_gram_matrix_of_one_representation_costs_the_other_nothing(
    tables: dict[str, pd.DataFrame],
) -> None:
    levels = [level for level in KEYS if level != "representation"]
    seconds = tables["cost"].pivot_table(index=levels, columns="representation", values="prepare_seconds")
    parts, generators = 2, 4
    more = [parts * GRAM_SECONDS] * generators
    assert (seconds.others - seconds.weights).to_list() == pytest.approx(more)


def test_figures_name_the_representation(
    collection: Collection, tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, set[str]] = {}

    def names_in(figure: Figure, path: Path) -> None:
        labels = [label for ax in figure.axes for label in ax.get_legend_handles_labels()[1]]
        texts = [text.get_text() for ax in figure.axes for text in ax.texts]
        drawn[path.stem] = {*labels, *texts}

    def tick_labels(figure: Figure, path: Path) -> None:
        drawn[path.stem] = {text.get_text() for ax in figure.axes for text in ax.get_yticklabels()}

    for module in (fits, novelty, seconds, studies):
        monkeypatch.setattr(module, "save", names_in)
    monkeypatch.setattr(overview, "write_figure", tick_labels)
    for item in asked("figure", *(results.record for results in collection.results)):
        maker = import_maker(str(item.exhibit.figure))
        maker(collection, Path(item.name), *(tables[name] for name in item.needs), *item.arguments)
    for representation in ("weights", "others"):
        assert f"noise ({representation}, raw)" in drawn["overview"]
        assert f"flow ({representation})" in drawn["accuracy_against_iou"]
        assert f"noise ({representation}, raw)" in drawn["accuracy_at_novelty"]
        assert f"gaussian ({representation})" in drawn["ensembles"]
        assert f"flow, {representation}, pca_4: validation" in drawn["flow_loss"]
        assert f"git_rebasin, {representation}, pca_4" in drawn["explained_variance"]
    assert "zoo" in drawn["ensembles"]
