"""Tables and figures are registered once; adding one touches three files."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from checkout import ROOT, WORKFLOW_FILES, Checkout, copy_repository

from dwf_steps.config.generators.base import GeneratorFacts
from dwf_steps.reporting import registry
from dwf_steps.reporting.record import ExperimentRecord

CELL = ("mine", "git_rebasin", "weights", "raw", "flow", "none")
FLOW = GeneratorFacts(kind="flow", control=False, shows_training=False, costs_training=False)
PLAIN = ExperimentRecord(
    cells=[CELL],
    members={},
    generators={"flow": FLOW},
    fitted_by={"flow": "flow"},
    zoo_networks={"mine": 3},
    zoo_trainings={"mine": 3},
    samples={"flow": 2},
    scope="Three networks.",
)

MAKERS = '''"""How many networks failed."""

import matplotlib.pyplot as plt
import pandas as pd


def failures_table(collection):
    return collection.networks.groupby("generator", as_index=False).failed.sum()


def failures(collection, path, table):
    figure, ax = plt.subplots()
    ax.bar(table.generator, table.failed)
    for ending in (".pdf", ".png"):
        figure.savefig(path.with_suffix(ending))
'''
ENTRY = """    Exhibit(
        "failures",
        table="dwf_steps.reporting.failures:failures_table",
        figure="dwf_steps.reporting.failures:failures",
        figure_needs=("failures",),
        caption="How many networks failed.",
    ),
)


@dataclass(frozen=True)
class Asked:"""
TEST = '''"""Counts are of every generator."""

from dwf_steps.reporting.registry import EXHIBITS


def test_it_is_registered() -> None:
    assert EXHIBITS[-1].name == "failures"
'''


def test_the_registry_imports_no_maker_and_nothing_slow() -> None:
    code = (
        "import sys, dwf_steps.reporting.registry; "
        "print([name for name in ('torch', 'matplotlib', 'pandas', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def makers() -> Iterator[str]:
    for exhibit in registry.EXHIBITS:
        yield from filter(None, (exhibit.table, exhibit.figure, exhibit.bold))


@pytest.mark.parametrize("maker", list(makers()))
def test_every_maker_exists(maker: str) -> None:
    assert callable(registry.import_maker(maker))


def test_names_are_there_once() -> None:
    names = [exhibit.name for exhibit in registry.EXHIBITS]
    assert len(set(names)) == len(names)


def test_what_nobody_asked_for_is_left_out() -> None:
    optional = {"transfer", "reconstruction", "likelihood", "other_widths", "interpolation_barrier"}
    optional.add("class_accuracy")
    assert not optional & set(registry.names("table", PLAIN))
    update = {"transferred": [(CELL, "other")], "likelihoods": ["flow"], "halfway": ["flow"]}
    update |= {"autoencoders": ["flow"], "classifying": ["mine"]}
    asked = PLAIN.model_copy(update=update)
    assert optional - {"other_widths"} <= set(registry.names("table", asked))
    assert "transfer" in registry.names("figure", asked)
    assert "likelihood" not in registry.names("figure", asked)


def test_several_folders_have_what_any_of_them_asked_for() -> None:
    asked = PLAIN.model_copy(update={"likelihoods": ["flow"]})
    assert registry.names("table", PLAIN, asked) == registry.names("table", asked)


def test_a_study_has_a_table_and_a_figure_drawn_from_it() -> None:
    member = {"family": "noise", "values": {"std": 0.1}, "setting": {"std": 0.1}}
    cell = (*CELL[:4], "noise_std_0_1", CELL[5])
    own = {"cells": [cell], "members": {"generators": {cell[4]: member}}}
    record = ExperimentRecord.model_validate(PLAIN.model_dump() | own)
    studies = {kind: list(registry.asked(kind, record))[-1] for kind in ("table", "figure")}
    assert [study.name for study in studies.values()] == ["sweep_noise", "sweep_noise"]
    assert studies["table"].arguments == ("noise", "generator")
    assert studies["table"].needs == ("cost",) and studies["figure"].needs == ("sweep_noise",)


def test_every_table_and_figure_has_a_caption_that_says_what_it_covers() -> None:
    captions = registry.captions(PLAIN)
    assert set(captions) == {*registry.names("table", PLAIN), *registry.names("figure", PLAIN)}
    for caption in captions.values():
        assert len(caption) > 80 and caption.endswith("\nThree networks.\n")


def test_needed_tables_are_tables() -> None:
    tables = set(registry.names("table", PLAIN))
    needed = {
        need for kind in ("table", "figure") for item in registry.asked(kind, PLAIN) for need in item.needs
    }
    assert needed and needed <= tables


def files(folder: Path) -> dict[Path, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def test_a_table_and_a_figure_are_added_in_three_files(finished: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    checkout = replace(copy_repository(folder), config=finished.config)
    before = files(folder)
    (folder / "dwf_steps/reporting/failures.py").write_text(MAKERS, encoding="utf-8")
    page = folder / "dwf_steps/reporting/registry.py"
    text = page.read_text(encoding="utf-8")
    end = ")\n\n\n@dataclass(frozen=True)\nclass Asked:"
    assert text.count(end) == 1
    page.write_text(text.replace(end, ENTRY), encoding="utf-8")
    (folder / "tests").mkdir()
    (folder / "tests/test_failures.py").write_text(TEST, encoding="utf-8")
    after = files(folder)
    assert len({path for path in after if after[path] != before.get(path)}) == 3

    listed = checkout.snakemake("--dry-run", "tables", "figures")
    assert "results/tables/failures.csv" in listed and "results/figures/failures.pdf" in listed
    root = finished.folder / "results"
    output = tmp_path / "merged"
    for command in (
        ["dwf_steps.tabulate", str(root), "--output", str(output / "tables")],
        ["dwf_steps.plot", str(output), "--output", str(output / "figures")],
    ):
        for zoo in ("micro", "benchmarks"):
            if output.is_dir() and not (output / zoo).exists():
                (output / zoo).symlink_to(root / zoo)
        subprocess.run([sys.executable, "-m", *command], cwd=folder, check=True, capture_output=True)
    table = pd.read_csv(output / "tables/failures.csv")
    assert table.failed.sum() == 0 and set(table.generator) == {"gaussian", "flow", "noise"}
    assert (output / "tables/captions/failures.rst").read_text(encoding="utf-8").startswith("How many")
    assert (output / "figures/failures.png").stat().st_size > 1000
    assert json.loads((output / "tables/experiment.json").read_text(encoding="utf-8"))["cells"]
    assert set(WORKFLOW_FILES) >= {"rules", "dwf_steps"}
