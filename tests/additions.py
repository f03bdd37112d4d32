"""Adding something to a copy of the repository, as a reader would: which files it touches, and its tests."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from checkout import Checkout, environment


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder by path, what Python and Snakemake leave there left out."""
    left = {"__pycache__", ".snakemake", "results"}
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {str(path): (folder / path).read_bytes() for path in paths if not left & set(path.parts)}


def touched(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> set[str]:
    """Return the paths of files that are new or not what they were."""
    return {path for path, content in after.items() if before.get(path) != content}


def add(
    folder: Path, files: Mapping[str, str], changes: Mapping[str, tuple[str, str]] | None = None
) -> set[str]:
    """Write new files, and put a text in the place of another in existing ones; return which files that
    touched."""
    before = contents(folder)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text.lstrip(), encoding="utf-8")
    for path, (old, new) in (changes or {}).items():
        text = (folder / path).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path}: {old!r} occurs {text.count(old)} times"
        (folder / path).write_text(text.replace(old, new), encoding="utf-8")
    return touched(before, contents(folder))


def run_its_tests(checkout: Checkout) -> str:
    """Run the tests that lie in a copy of the repository, and return what pytest prints."""
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider"]
    folder = checkout.folder
    variables = environment() | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, "tests"], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
