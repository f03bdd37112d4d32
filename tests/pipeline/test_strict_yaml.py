"""What a configuration file says twice, or says otherwise than it reads, is told with the key's path."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from small_config import small_config
from snakemake.exceptions import WorkflowError

from dwf_steps.pipeline.load import load_config
from dwf_steps.pipeline.start import default_configuration
from dwf_steps.pipeline.strict_yaml import file_problems
from dwf_steps.runtime.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def problems(tmp_path: Path, text: str | bytes) -> list[str]:
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(file_problems([path]))


@pytest.mark.parametrize("path", [*ROOT.glob("*.yaml"), *ROOT.glob("configs/*.yaml")], ids=lambda p: p.stem)
def test_shipped_files_say_what_they_mean(path: Path) -> None:
    assert list(file_problems([path])) == []


def test_a_key_given_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "zoos:\n  a:\n    seeds: 3\n    held_out: 1\n    seeds: 4\n")
    assert problem == (
        f"zoos.a.seeds: is given twice, in lines 3 and 5 of {tmp_path / 'c.yaml'}; leave one of them out"
    )


def test_a_key_given_twice_in_json_is_found_too(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, '{"zoos": {"a": {"seeds": 3}, "a": {"seeds": 4}}}')
    assert problem.startswith("zoos.a: is given twice, in lines 1 and 1")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("2024", "a number"),
        ("007", "a number"),
        ("1_000", "a number"),
        ("1.5", "a number"),
        ("null", "null"),
        ("~", "null"),
        ("yes", "true or false"),
        ("off", "true or false"),
        ("2024-01-31", "a date"),
    ],
)
def test_a_name_that_is_no_text_is_told_to_be_quoted(tmp_path: Path, key: str, kind: str) -> None:
    (problem,) = problems(tmp_path, f"zoos:\n  {key}: {{seeds: 3}}\n")
    where = tmp_path / "c.yaml"
    assert problem == (f'zoos.{key}: is read as {kind} ({where}, line 2), but keys are text; write "{key}":')
    assert problems(tmp_path, f'zoos:\n  "{key}": {{seeds: 3}}\n') == []


def test_anchors_and_merged_mappings_may_say_a_key_again(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: {z: 2}}\nb: {<<: *a, x: 2}\nc: [*a, *a]\n"
    assert problems(tmp_path, text) == []
    assert yaml.safe_load(text)["b"] == {"x": 2, "y": {"z": 2}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("zoos: {}\n".encode("utf-16"), "c.yaml: is UTF-16; save it as UTF-8"),
        (
            "zoos: {}\n# größer\n".encode("latin-1"),
            "is not UTF-8 (byte 0xf6 in line 2), perhaps Latin-1",
        ),
        (b"zoos: {\n", "c.yaml: is neither YAML nor JSON ("),
        (b"? [1, 2]\n: 3\n", "c.yaml, line 1: the configuration has a key that is not a text"),
    ],
)
def test_files_that_cannot_be_read_say_so(tmp_path: Path, content: bytes, message: str) -> None:
    (problem,) = problems(tmp_path, content)
    assert message in problem and "\n" not in problem


@pytest.mark.parametrize("text", ["# größer\nzoos: {}\n", "\ufeffzoos: {}\n", "", '{\n\t"zoos": {}}\n'])
def test_files_in_utf_8_are_read_with_or_without_a_mark(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


def test_what_a_file_says_twice_stops_before_anything_else_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("zoos: {}\nzoos: {}\n")
    with pytest.raises(InputError, match=r"1 problem:\n  - zoos: is given twice"):
        load_config({"zoos": {}}, [path, tmp_path / "not there.yaml"])


Change = Callable[[dict], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["zoos"].update({7: c["zoos"]["iris"]}), "zoos.7: 7 cannot be a name; put it in quotes"),
        (lambda c: c["zoos"].update({None: c["zoos"]["iris"]}), "None cannot be a name; put it in quotes"),
        (
            lambda c: c["experiments"][0].update(zoos=[2024]),
            "zoos.0: found 2024; expected a text; put it in quotes if it is meant as text",
        ),
        (
            lambda c: c["experiments"][0].update(zoos=[None]),
            "experiments.0.zoos.0: found None",
        ),
        (lambda c: c["zoos"].update({"a" * 201: {}}), "have at most 200 characters"),
        (lambda c: c["generators"].update({"a" * 20: {}}), "not end with the same text 20 times in a row"),
        (lambda c: c["generators"].update({"ab" * 30: {}}), "not end with the same text 20 times in a row"),
        (lambda c: c["generators"].update({"mein-flow": {}}), "'mein-flow' cannot be a name; names become"),
        (lambda c: c.update(zoos=None), "zoos: found None"),
        (lambda c: c.update(zoos=[1]), "zoos: found [1]"),
        (lambda c: c.update(experiments={}), "experiments: found {}"),
        (lambda c: c["zoos"].update(iris=None), "zoos.iris"),
        (lambda c: c["generators"].update(noise=3), "generators.noise"),
        (lambda c: c["recalibrations"].update(none=3), "recalibrations.none"),
        (lambda c: c["zoos"]["iris"].update(sweep={3: [1]}), "zoos.iris.sweep: the key 3 is not a text"),
        (
            lambda c: c["canonicalizations"].update(none={"methods": [{"x": 1}], "sweep": {"x": [1]}}),
            "canonicalizations.none.methods: found [{'x': 1}]; expected a list of methods",
        ),
    ],
)
def test_names_that_no_path_can_have_are_told_with_their_place(change: Change, message: str) -> None:
    config = small_config()
    change(config)
    with pytest.raises(InputError) as caught:
        load_config(config)
    assert message in str(caught.value)


def test_long_names_that_end_in_no_repetition_are_names() -> None:
    config = small_config()
    for name in ("x" * 19, "ab" * 19, "a" * 100 + "b", "s" * 19 + "_" + "0" * 19):
        config["zoos"][name] = config["zoos"]["iris"]
    assert len(load_config(config).zoos) == 5


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_default_configuration_in_another_encoding_is_refused_before_snakemake_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_configuration() == str(ROOT / "workflow_config.yaml")
    Path("workflow_config.yaml").write_text("zoos: {} # größer\n", encoding=encoding)
    with pytest.raises(WorkflowError, match=r"^workflow_config\.yaml: is .*UTF.*; save it as UTF-8$"):
        default_configuration()
    Path("workflow_config.yaml").write_text("zoos: {} # größer\n", encoding="utf-8")
    assert default_configuration() == "workflow_config.yaml"
