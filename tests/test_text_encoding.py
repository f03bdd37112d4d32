"""Text is UTF-8 in every locale."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
from checkout import ROOT, Checkout

FILES = sorted([*(ROOT / "dwf_steps").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")])
TEXT_METHODS = {"read_text", "write_text"}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def text_calls(path: Path) -> list[ast.Call]:
    """Return the calls that read or write text files by their path's methods, or by opening one."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        modes = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        opened = node.func.attr == "open" and not node.args and not node.keywords
        opened |= node.func.attr == "open" and bool(modes) and not any("b" in str(mode) for mode in modes)
        if node.func.attr in TEXT_METHODS or opened:
            found.append(node)
    return found


def test_text_files_are_read_and_written_with_their_encoding_stated() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in FILES
        for call in text_calls(path)
        if not any(keyword.arg == "encoding" for keyword in call.keywords)
    ] == []


def run(module: str, *arguments: str, folder: Path) -> None:
    """Run a step where the locale's encoding is ASCII."""
    subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=os.environ | ASCII | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )


def test_class_names_keep_their_letters(tmp_path: Path) -> None:
    names = ["grün", "茶", "чёрный"]
    frame = pd.DataFrame({"text": ["süß und heiß", "kühl"] * 15, "label": names * 10})
    frame.to_csv(tmp_path / "tea.csv", index=False, encoding="utf-8")
    settings = {"texts": {"train": str(tmp_path / "tea.csv"), "length": 8, "vocabulary": 100}}
    run(
        "dwf_steps.prepare_texts",
        *("--settings", json.dumps(settings), "--output", str(tmp_path / "out")),
        folder=tmp_path,
    )
    classes = json.loads((tmp_path / "out/classes.json").read_text(encoding="utf-8"))
    assert classes == sorted(names)


def test_tables_are_the_same_in_every_locale(finished: Checkout, tmp_path: Path) -> None:
    run("dwf_steps.tabulate", "results", "--output", str(tmp_path), folder=finished.folder)
    text = (tmp_path / "accuracy.md").read_text(encoding="utf-8")
    assert "±" in text
    assert text == (finished.folder / "results/tables/accuracy.md").read_text(encoding="utf-8")
