"""One name runs through a stage: its rule, module, settings and test; rule files hold rules only."""

import ast
import io
import re
import tokenize
from importlib import import_module
from pathlib import Path

import pytest
from checkout import ROOT

from dwf_steps.pipeline.settings.base import StepSettings
from dwf_steps.pipeline.steps import step_name

FILES = sorted((ROOT / "rules").glob("*.smk"))
BLOCK = re.compile(r"^rule (\w+):\n((?:[ \t]+.*\n|\n|#.*\n(?=[ \t]))*)", re.M)
RULES = {name: body for file in FILES for name, body in BLOCK.findall(file.read_text(encoding="utf-8"))}
STEPS = {name: body for name, body in RULES.items() if "\n    shell:" in body}
SIBLINGS = {"score_zoo": "score", "divide_transfer_data": "divide_data"}  # one command under two names
RECORD = "settings=RUN.record"  # what an experiment asks for as a whole
ORDER = (
    *("input", "output", "log", "benchmark", "wildcard_constraints", "cache", "localrule", "conda"),
    *("threads", "resources", "params", "shell"),
)
DIRECTIVES = ("rule", "report", "include", "configfile", "container", "wildcard_constraints")
COMMON_LINES = 25


def settings_classes() -> dict[str, type[StepSettings]]:
    """Return every step's class of settings by the name of its step."""
    folder = ROOT / "dwf_steps/pipeline/settings"
    modules = [import_module(f"dwf_steps.pipeline.settings.{path.stem}") for path in folder.glob("[!_]*.py")]
    found = (value for module in modules for value in vars(module).values())
    return {
        step_name(value): value
        for value in found
        if isinstance(value, type) and issubclass(value, StepSettings) and value is not StepSettings
    }


def keys(body: str) -> list[str]:
    return re.findall(r"^    (\w+):", body, re.M)


def faults(text: str) -> list[str]:
    """Return the lines of a rule file that are neither part of a rule nor a statement of one line.

    What is indented belongs to the directive above it.
    """
    words = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == 1]
    found = [word.line for word in words if word.string in {"def", "class", "lambda", "async"}]
    docstring, _, rest = text.removeprefix('"""').partition('"""')
    for line in rest.splitlines() if text.startswith('"""') else [f"no docstring: {docstring[:40]}"]:
        if not line or line[0] in " #" or line.startswith(tuple(f"{word}:" for word in DIRECTIVES)):
            continue
        if re.fullmatch(r"rule \w+:", line):
            continue
        try:
            (statement,) = ast.parse(line).body
        except (SyntaxError, ValueError):
            found.append(line)
            continue
        if not isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr):
            found.append(line)
    return found


def test_no_rule_is_missed() -> None:
    declared = [re.findall(r"^rule (\w+)", file.read_text(encoding="utf-8"), re.M) for file in FILES]
    names = [name for some in declared for name in some]
    assert sorted(names) == sorted(RULES) and len(set(names)) == len(names)
    assert set(RULES) - set(STEPS) == {"datasets"}


@pytest.mark.parametrize("name", STEPS)
def test_a_rule_runs_the_module_of_its_name(name: str) -> None:
    assert re.findall(r"python -m ([\w.]+)", STEPS[name]) == [f"dwf_steps.{name}"]
    module = import_module(f"dwf_steps.{name}")
    assert module.main.__module__ == f"dwf_steps.{SIBLINGS.get(name, name)}"
    if name not in SIBLINGS:
        assert getattr(module, name).__module__ == module.__name__


@pytest.mark.parametrize("name", STEPS)
def test_a_rule_has_the_settings_of_its_name(name: str) -> None:
    body, classes = STEPS[name], settings_classes()
    assert (f"settings={name}.settings," in body) == (name in classes)
    if name in classes:
        binding = f"{name} = RUN.step({classes[name].__name__})"
        assert sum(binding in file.read_text(encoding="utf-8").splitlines() for file in FILES) == 1
        parsed = classes[SIBLINGS.get(name, name)]
        step = (ROOT / f"dwf_steps/{SIBLINGS.get(name, name)}.py").read_text(encoding="utf-8")
        assert f"parse_settings({parsed.__name__}, args.settings)" in step
    elif "settings=" in body:
        assert name == "tabulate" and RECORD in body


def test_no_settings_are_without_a_rule() -> None:
    assert set(settings_classes()) <= set(STEPS)


@pytest.mark.parametrize("name", STEPS)
def test_a_rule_has_a_test_of_its_name(name: str) -> None:
    test = (ROOT / f"tests/test_{name}.py").read_text(encoding="utf-8")
    assert re.search(rf"^(from|import) dwf_steps(\.{name} import| import {name}\b|\.{name}\b)", test, re.M)


def test_nothing_but_steps_lies_at_the_top_of_the_package() -> None:
    modules = {path.stem for path in (ROOT / "dwf_steps").glob("*.py")}
    assert modules == {"__init__", *STEPS}


@pytest.mark.parametrize("name", RULES)
def test_keys_of_a_rule_stand_in_order(name: str) -> None:
    found = keys(RULES[name])
    assert found == sorted(found, key=ORDER.index)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", STEPS)
def test_a_rule_states_what_every_job_needs(name: str) -> None:
    assert {"output", "log", "conda", "params", "shell"} <= set(keys(STEPS[name]))
    assert re.search(r"^        code=", STEPS[name], re.M), "changed code reruns the step"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_rule_files_hold_rules_and_bindings_of_one_line(file: Path) -> None:
    assert faults(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "def shards(wildcards):\n    return []",
        "shards = lambda wildcards: []",
        "class Paths:\n    pass",
        "shards = [\n    shard\n    for shard in range(3)\n]",
        "if SHARED:\n    shards = []",
        "for shard in range(3):\n    print(shard)",
        "rule a:\n    input:\n        lambda wildcards: [],",
    ],
)
def test_other_python_in_a_rule_file_is_found(line: str) -> None:
    assert faults(f'"""A stage."""\n\n{line}\n')


def test_what_all_rules_share_is_short() -> None:
    assert len((ROOT / "rules/common.smk").read_text(encoding="utf-8").splitlines()) <= COMMON_LINES


def test_every_rule_file_is_included_once() -> None:
    snakefile = (ROOT / "Snakefile").read_text(encoding="utf-8")
    included = re.findall(r'^include: "rules/(\w+)\.smk"$', snakefile, re.M)
    assert sorted(included) == [file.stem for file in FILES]
    assert included[0] == "common"
