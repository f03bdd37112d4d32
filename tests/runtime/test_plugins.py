"""Code that a configuration names: what is found, what is refused, and that its file is announced."""

import os
import sys
from pathlib import Path

import mistaken_networks
import pytest

from dwf_steps.runtime import plugins
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.plugins import find_plugin

HERE = Path(mistaken_networks.__file__)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(plugins, "_announced", set())
    return tmp_path


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("mistaken_networks:Perceptron", HERE),
        ("mistaken_networks:Made", HERE),
        ("mistaken_networks:instance", HERE),
        ("mistaken_networks:Perceptron.forward", HERE),
    ],
)
def test_what_a_file_defines_is_found_with_its_file(target: str, file: Path) -> None:
    plugin = find_plugin(target, "k")
    assert plugin.source_file == file and callable(plugin.make)


def test_a_networks_class_of_a_library_is_found() -> None:
    assert find_plugin("torch.nn:Linear", "k").source_file.name == "linear.py"


def test_a_decorated_function_is_that_of_its_own_file(folder: Path) -> None:
    (folder / "wrapped_nets.py").write_text(
        "from mistaken_networks import decorated\n\n@decorated\ndef make():\n    return 1\n"
    )
    assert find_plugin("wrapped_nets:make", "k").source_file == folder / "wrapped_nets.py"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("subprocess:getoutput", "k: subprocess:getoutput is part of Python's standard library"),
        ("os.path:join", "k: os.path:join is part of Python's standard library"),
        ("sys:exit", "k: sys:exit is part of Python's standard library"),
        ("mistaken_networks:getoutput", "getoutput is .* from Python's standard library .*subprocess.py"),
        ("mistaken_networks:RIGHT", "RIGHT is the dict .*, which cannot be called; expected a class or fun"),
        ("mistaken_networks:number", "number is the int 3, which cannot be called"),
        ("mistaken_networks:RIGHT.get", "built in or compiled; expected a class or function defined in a"),
        (
            "mistaken_networks:Nothing",
            r"cannot be imported \(AttributeError: .* no attribute 'Nothing'",
        ),
        ("no_such_module:x", r"cannot be imported \(ModuleNotFoundError: No module named 'no_such_module'\)"),
        ("torch._C:Tensor", "torch._C:Tensor is compiled code"),
    ],
)
def test_what_no_file_of_the_user_defines_is_refused(target: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        find_plugin(target, "k")
    assert "\n" not in str(caught.value)


def test_nothing_of_the_standard_library_is_imported_to_refuse_it() -> None:
    assert "antigravity" not in sys.modules
    with pytest.raises(InputError, match="rename it"):
        find_plugin("antigravity:geohash", "k")
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("unclosed", "def make(:\n", "SyntaxError: .*unclosed.py, line 1"),
        ("dividing", "x = 1\n1 / 0\n", "ZeroDivisionError: division by zero, dividing.py line 2"),
        ("leaving", "import sys\nsys.exit('no')\n", "SystemExit: no, leaving.py line 2"),
        ("two_lines", "raise ValueError('two\\nlines')\n", "ValueError: two lines, two_lines.py line 1"),
    ],
)
def test_an_error_in_the_users_file_is_one_line_with_its_place(
    folder: Path, name: str, code: str, message: str
) -> None:
    (folder / f"{name}.py").write_text(code)
    with pytest.raises(InputError, match=message) as caught:
        find_plugin(f"{name}:make", "zoos.z.architecture.import")
    assert str(caught.value).startswith(f"zoos.z.architecture.import: {name}:make cannot be imported (")
    assert "\n" not in str(caught.value)


def test_whose_code_runs_is_said_once_and_before_it_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logging.Logger.hasHandlers", lambda _self: False)
    (folder / "loud_nets.py").write_text(
        "import sys\nsys.stderr.write('it runs\\n')\n\ndef make():\n    return 1\n"
    )
    for _ in range(2):
        find_plugin("loud_nets:make", "zoos.z.architecture.import")
    said = capsys.readouterr().err
    file = f"{os.getcwd()}/loud_nets.py"
    assert said == f"zoos.z.architecture.import: loud_nets:make runs the code in {file}\nit runs\n"
