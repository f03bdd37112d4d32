"""The fingerprint of a step: moved by what runs, and by nothing else."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dwf_steps.pipeline import fingerprint as module

FILES = {
    "dwf_steps/__init__.py": "",
    "dwf_steps/step_a.py": "from dwf_steps.noun import formula\n\n\ndef run():\n    return formula.f(2)\n",
    "dwf_steps/step_b.py": "def run():\n    return 3\n",
    "dwf_steps/noun/__init__.py": "",
    "dwf_steps/runtime/__init__.py": "",
    "dwf_steps/pipeline/__init__.py": "",
    "dwf_steps/noun/formula.py": '"""Doc."""\n\n\ndef f(x):\n    """Square."""\n    return x * x\n',
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for cached in (module._fingerprint, module._tree, module._normalised, module._imports):
        cached.cache_clear()


def both() -> tuple[str, str]:
    forget()
    return module.fingerprint("dwf_steps.step_a"), module.fingerprint("dwf_steps.step_b")


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = both()
    (package / "dwf_steps/noun/formula.py").write_text(
        '"""Another."""\n# remark\ndef f(\n    x\n):\n    "Other."\n    return (x * x)  # here\n'
    )
    assert both() == before


def test_a_changed_formula_counts_for_the_steps_that_import_it_alone(package: Path) -> None:
    before = both()
    (package / "dwf_steps/noun/formula.py").write_text("def f(x):\n    return x + x\n")
    after = both()
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_what_is_said_of_progress_does_not_count(package: Path) -> None:
    (package / "dwf_steps/step_a.py").write_text("from dwf_steps.runtime import progress\n")
    (package / "dwf_steps/runtime/progress.py").write_text("PAUSE = 5\n")
    before = both()
    (package / "dwf_steps/runtime/progress.py").write_text("PAUSE = 6\n")
    assert both() == before


def test_settings_travel_as_params_but_what_they_import_counts(package: Path) -> None:
    settings = package / "dwf_steps/pipeline/settings.py"
    (package / "dwf_steps/step_b.py").write_text("from dwf_steps.pipeline.settings import A\n")
    settings.write_text("from dwf_steps.noun.formula import f\nA = 1\n")
    before = both()
    settings.write_text("from dwf_steps.noun.formula import f\nA = 2\n")
    assert both() == before
    (package / "dwf_steps/noun/formula.py").write_text("def f(x):\n    return 0\n")
    assert both()[1] != before[1]


def test_a_changed_package_above_counts(package: Path) -> None:
    before = both()
    (package / "dwf_steps/noun/__init__.py").write_text("LIMIT = 1\n")
    assert both()[0] != before[0]


def test_imports_inside_functions_count_but_not_those_for_type_checking(package: Path) -> None:
    lazy = "def run():\n    from dwf_steps.noun.formula import f\n    return f(3)\n"
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from dwf_steps.noun.formula import f\n"
    for text, counts in ((lazy, True), (typed, False)):
        (package / "dwf_steps/step_b.py").write_text(text)
        (package / "dwf_steps/noun/formula.py").write_text("def f(x):\n    return x\n")
        before = both()[1]
        (package / "dwf_steps/noun/formula.py").write_text("def f(x):\n    return -x\n")
        assert (both()[1] != before) == counts


def test_what_only_plans_a_run_does_not_count(package: Path) -> None:
    step = """from dwf_steps.noun.marks import planning


class Settings:
    @planning
    def problems(self):
        from dwf_steps.noun.formula import f
        return f(2)

    def run(self):
        return 3
"""
    (package / "dwf_steps/noun/marks.py").write_text("def planning(function):\n    return function\n")
    file = package / "dwf_steps/step_b.py"
    file.write_text(step)
    before = both()[1]
    file.write_text(step.replace("f(2)", "f(4)"))
    (package / "dwf_steps/noun/formula.py").write_text("def f(x):\n    return -x\n")
    assert both()[1] == before
    file.write_text(step.replace("return 3", "return 4"))
    assert both()[1] != before


def test_the_code_of_two_modules_and_of_other_files_counts_together(package: Path) -> None:
    own = package / "own.py"
    own.write_text("def loss(x):\n    return x\n")
    modules = ("dwf_steps.step_a", "dwf_steps.step_b")

    def both_modules() -> str:
        forget()
        module.file_fingerprint.cache_clear()
        return module.fingerprint(*modules, files=[own])

    found = [module.fingerprint("dwf_steps.step_b"), module.fingerprint(*modules), both_modules()]
    assert len(set(found)) == 3
    own.write_text("def loss(x):\n    return 2 * x\n")
    found.append(both_modules())
    (package / "dwf_steps/noun/formula.py").write_text("def f(x):\n    return x\n")
    found.append(both_modules())
    assert len(set(found)) == 5


def test_an_unknown_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_step"):
        module.fingerprint("dwf_steps.no_such_step")


OWN = {
    "alone/mine.py": "import json\nfrom helpers import scale\n\n\ndef f(x):\n    return scale(x)\n",
    "alone/helpers.py": "def scale(x):\n    import constants\n\n    return constants.FACTOR * x\n",
    "alone/constants.py": "FACTOR = 2\n",
    "alone/unused.py": "FACTOR = 3\n",
    "whole/__init__.py": "",
    "whole/mine.py": "from . import near\nfrom .inner.deep import g\nfrom whole.absolute import h\n",
    "whole/near.py": "N = 1\n",
    "whole/absolute.py": "def h():\n    return 1\n",
    "whole/inner/__init__.py": "I = 1\n",
    "whole/inner/deep.py": "from ..above import A\n\n\ndef g():\n    return A\n",
    "whole/above.py": "A = 1\n",
    "whole/other.py": "O = 1\n",
}


@pytest.mark.parametrize("folder", ["alone", "whole"])
def test_files_of_the_same_folder_or_package_count_where_they_are_imported(
    tmp_path: Path, folder: str
) -> None:
    for name, text in OWN.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    mine = tmp_path / folder / "mine.py"

    def found() -> str:
        module.file_fingerprint.cache_clear()
        return module.file_fingerprint(mine)

    before, counted = found(), set[str]()
    for name, text in OWN.items():
        (tmp_path / name).write_text(f"{text}# a remark\n")
        assert found() == before
        (tmp_path / name).write_text(f"{text}MORE = 1\n")
        counted |= {name} if found() != before else set()
        (tmp_path / name).write_text(text)
    unused = {"alone": "alone/unused.py", "whole": "whole/other.py"}[folder]
    assert counted == {name for name in OWN if name.startswith(f"{folder}/")} - {unused}


def test_of_an_installed_package_the_file_alone_counts() -> None:
    import yaml

    file = Path(yaml.__file__)
    digest = hashlib.sha256(module._written(module._stripped(file)).encode()).hexdigest()
    assert module.file_fingerprint(file) == digest[:16]


def test_the_fingerprint_is_the_same_in_every_version_of_python(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text('def f(a, y=None) -> str:\n    return f"{y!r}"\n')
    arguments = "arguments(args=[arg(arg='a'), arg(arg='y')], defaults=[Constant()])"
    value = "JoinedStr(values=[FormattedValue(value=Name(id='y', ctx=Load()), conversion=114)])"
    function = f"name='f', args={arguments}, body=[Return(value={value})], returns=Name(id='str', ctx=Load())"
    written = f"Module(body=[FunctionDef({function})])"
    assert module._written(module._stripped(mine)) == written
    assert module.file_fingerprint(mine) == hashlib.sha256(written.encode()).hexdigest()[:16]
