"""What is written about the project is true of it."""

import ast
import importlib
import json
import re
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
import yaml
from checkout import TARGETS
from snakemake.utils import update_config

from dwf_steps.cli.reference import CHAPTERS, json_schema, reference_page, schema_of
from dwf_steps.config.generators import generator_kinds
from dwf_steps.config.generators.base import GeneratorConfig
from dwf_steps.config.generators.flow import Likelihood
from dwf_steps.config.section import Section
from dwf_steps.config.sweep import expand
from dwf_steps.config.workflow import WorkflowConfig

ROOT = Path(__file__).resolve().parent.parent
ABOUT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "config/README.md")]
PAGES = [*ABOUT, *sorted((ROOT / "docs").glob("*.md"))]
FILES = [ROOT / "workflow_config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]


def test_the_configuration_reference_is_current() -> None:
    regenerate = "run `python -m dwf_steps.cli.reference`"
    assert (ROOT / "docs/configuration.md").read_text() == reference_page(), regenerate
    schema = json.loads((ROOT / "docs/workflow_config.schema.json").read_text())
    assert schema == json_schema(), regenerate


def test_every_key_of_the_reference_is_described() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", reference_page(), re.M)
    assert len(rows) > 50
    assert [key for key, meaning in rows if len(meaning) < 8] == []


def test_settings_of_the_same_name_elsewhere_take_no_description_away() -> None:
    from dwf_steps.pipeline.settings import flow_analysis

    assert flow_analysis.Likelihood.__name__ == Likelihood.__name__
    described = schema_of(Likelihood)["properties"]
    assert all(len(key["description"]) > 8 for key in described.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_configurations_fit_the_json_schema(path: Path) -> None:
    default = yaml.safe_load(FILES[0].read_text())
    update_config(default, yaml.safe_load(path.read_text()))
    jsonschema.validate(default, json_schema())


def test_the_json_schema_refuses_a_misspelt_key() -> None:
    raw = yaml.safe_load(FILES[0].read_text())
    raw["generators"]["flow_narrow"]["velocity"]["widht"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw, json_schema())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_files_and_targets_that_exist(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"\]\(((?!http)[^)#]+)[^)]*\)", text):
        assert (page.parent / path).exists(), path
    for target in re.findall(r"(?:^|`)make (\w+)", text, re.M):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target
    for config in re.findall(r"configs/\w+\.yaml", text):
        assert (ROOT / config).is_file(), config


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_yaml_on_pages_is_valid_configuration(page: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S):
        config = yaml.safe_load(FILES[0].read_text())
        update_config(config, yaml.safe_load(block))
        WorkflowConfig.model_validate(expand(config)[0])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_on_pages_compiles_and_imports_what_exists(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("dwf_steps"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), node.module


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 900


def test_the_site_has_every_page() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f": {page.name}\n" not in navigation] == []


def test_the_rule_graph_has_every_rule() -> None:
    graph = re.search(r"```mermaid\n(.*?)```", (ROOT / "docs/code.md").read_text(), re.S)
    assert graph
    drawn = set(re.findall(r"[a-z_]+", graph[1])) - {"flowchart", "TB"}
    rules = {
        name
        for file in (ROOT / "rules").glob("*.smk")
        for name in re.findall(r"^rule (\w+):", file.read_text(), re.M)
    }
    assert drawn == rules - TARGETS


def test_the_conda_environment_has_the_pins_of_the_requirements() -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / "envs/requirements.txt").read_text().splitlines()]
    conda = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    assert conda["dependencies"][-1]["pip"] == [line for line in lines if line]


def sections(kind: type[Section]) -> set[type[Section]]:
    """Return all sections that a section may hold, itself included."""
    found, waiting = set[type[Section]](), [kind]
    while waiting:
        section = waiting.pop()
        if section in found:
            continue
        found.add(section)
        annotations = [field.annotation for field in section.model_fields.values()]
        while annotations:
            annotation = annotations.pop()
            if annotation is GeneratorConfig:
                annotations += generator_kinds().values()
            elif isinstance(annotation, type) and issubclass(annotation, Section):
                waiting.append(annotation)
            annotations += get_args(annotation)
    return found


def test_the_reference_describes_every_section() -> None:
    described = {section for chapter in CHAPTERS.values() for section in chapter}
    assert sections(WorkflowConfig) - described == set()
