"""The command `dwf` says what it can do, and ends with the status that shells expect."""

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from checkout import ROOT, environment
from tiny_zoo import random_networks, write_networks

from dwf_steps.cli.dwf import COMMANDS, dispatch
from dwf_steps.metrics import function_change
from dwf_steps.runtime.command_line import run


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_without_a_command_all_are_listed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(arguments)
    printed = capsys.readouterr().out
    assert all(f"dwf {name}" in printed for name in COMMANDS)


def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["jugde"], ["judge"], ["align", "a", "b"], ["export", "a", "-o", "b", "--keys", "{a"]):
        with pytest.raises(SystemExit) as ended:
            dispatch(arguments)
        assert ended.value.code == 2, arguments
    assert "there is no command 'jugde'" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        dispatch([name, "--help"])
    assert not ended.value.code
    assert f"usage: dwf {name}" in capsys.readouterr().out


def test_wrong_input_ends_with_1_and_one_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "dwf_steps.cli.export",
        str(tmp_path / "none"),
        "-o",
        str(tmp_path / "e"),
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/none: no networks there")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["align", "judge"])
def test_a_function_that_changed_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    write_networks(tmp_path / "zoo.json", random_networks(3))
    first, second, _ = sorted(map(str, tmp_path.glob("zoo/*.safetensors")))
    arguments = {
        "align": [first, second, "-o", str(tmp_path / "aligned.safetensors")],
        "judge": [second, "--zoo", str(tmp_path / "zoo"), "--data", "iris"],
    }
    monkeypatch.setattr(function_change, "FUNCTION_TOLERANCE", -1.0)  # every function has changed by more
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    with pytest.raises(SystemExit) as ended:
        run(lambda: dispatch([command, *arguments[command]]))
    assert isinstance(ended.value.code, str)
    assert ended.value.code.startswith("error: canonicalization changed the function of ")
    assert len(ended.value.code.splitlines()) == 1
    assert not (tmp_path / "aligned.safetensors").exists()


def test_the_installed_package_has_the_command() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["scripts"] == {"dwf": "dwf_steps.cli.dwf:main"}
