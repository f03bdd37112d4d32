"""Imports go one way (`lint-imports`); step modules and new packages follow without being listed."""

import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "dwf_steps"
STEPS = {f"{PACKAGE}.{path.stem}" for path in (ROOT / PACKAGE).glob("*.py") if path.stem != "__init__"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, cache_dir=None)


def layers() -> list[list[str]]:
    """Return the packages of each layer, from the top."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return [layer.split(" | ") for layer in contracts[0]["layers"]]


def test_every_package_has_its_place_in_the_order() -> None:
    packages = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    assert sorted(name for layer in layers() for name in layer) == sorted(packages)


def test_no_package_below_the_step_modules_imports_one(graph: grimp.ImportGraph) -> None:
    imported = {step: graph.find_modules_that_directly_import(step) - STEPS for step in STEPS}
    above = f"{PACKAGE}.cli"
    assert {
        step: who for step, by in imported.items() if (who := {m for m in by if not m.startswith(above)})
    } == {}


def test_step_modules_import_nothing_of_what_people_type(graph: grimp.ImportGraph) -> None:
    for step in STEPS:
        imported = graph.find_modules_directly_imported_by(step)
        assert not {name for name in imported if name.startswith(f"{PACKAGE}.cli")}, step


def test_the_runtime_imports_nothing_of_the_package(graph: grimp.ImportGraph) -> None:
    runtime = f"{PACKAGE}.runtime"
    for module in {runtime} | graph.find_descendants(runtime):
        imported = graph.find_modules_directly_imported_by(module)
        assert {name for name in imported if not name.startswith(runtime)} == set(), module
