"""What `docs/judging.md` tells people to type works as it stands there."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import torch
from checkout import ROOT

from dwf_steps.architectures import build
from dwf_steps.cli.dwf import dispatch
from dwf_steps.config.architectures.mlp import MLPConfig

PAGE = (ROOT / "docs/judging.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with the networks that the page speaks of."""
    architecture = build(MLPConfig(widths=[64, 32, 10]))
    for number, (name, count) in enumerate({"zoo": 6, "generated": 4}.items()):
        (tmp_path / name).mkdir()
        for i in range(count):
            draws = torch.Generator().manual_seed(10 * number + i)
            torch.save(dict(architecture.initial_state("he", draws)), tmp_path / name / f"net-{i}.pt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_page_works(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 4
    for line in lines:
        name, *arguments = shlex.split(line)
        assert name == "dwf"
        dispatch(arguments)
    printed = capsys.readouterr().out
    assert re.search(r"^ +networks +failed +accuracy % +max IoU +realigned", printed, re.M)
    assert pd.read_csv(folder / "judged.csv").group.tolist() == ["generated", "zoo", "held-out"]
    assert (folder / "exported/README.md").is_file()


@pytest.mark.usefixtures("folder")
def test_the_pages_python_works(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    names: dict = {}
    exec(code, names)
    assert len(names["best"]) == 4
    assert "The generator scores" in capsys.readouterr().out
