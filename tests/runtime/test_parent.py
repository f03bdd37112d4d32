"""A step lives no longer than the process that started it, from its first moment on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkout import environment

from dwf_steps.runtime.errors import TERMINATED
from dwf_steps.runtime.parent import VARIABLE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not tell of a parent's end")

SETTINGS = '{"dataset": "iris", "splits": {}}'
# Starts a step as Snakemake does, and waits for it.
STARTER = (
    f"import os, subprocess, sys; os.environ['{VARIABLE}'] = str(os.getpid()); subprocess.run(sys.argv[1:])"
)
MOMENTS = (0.0, 0.03, 0.1, 0.3)  # seconds after the step has started; it works for one at least


def command(output: Path) -> list[str]:
    step = [sys.executable, "-m", "dwf_steps.divide_data", "--settings", SETTINGS, "--data-dir"]
    return [*step, "--output", str(output)]


def start(output: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, *command(output)], env=environment(), stderr=subprocess.PIPE
    )


def test_a_step_whose_parent_is_killed_while_it_starts_is_gone_at_once_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    undisturbed, took = start(tmp_path / "undisturbed.npz"), []
    for moment in MOMENTS:
        starter = start(tmp_path / f"{moment}.npz")
        children = Path(f"/proc/{starter.pid}/task/{starter.pid}/children")
        while not children.read_text():
            time.sleep(0.002)
        time.sleep(moment)
        starter.kill()
        killed = time.monotonic()
        starter.communicate(timeout=60)  # the step holds the pipe until it ends
        took.append(time.monotonic() - killed)
    undisturbed.communicate(timeout=60)
    assert max(took) < 3  # a hundredth of it but on a busy machine
    assert [path.name for path in tmp_path.iterdir()] == ["undisturbed.npz"]


def test_a_step_whose_parent_is_already_gone_ends_before_it_imports_anything(tmp_path: Path) -> None:
    importing = command(tmp_path / "data.npz")
    importing[1:1] = ["-X", "importtime"]
    done = subprocess.run(
        importing, env=environment() | {VARIABLE: "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == TERMINATED
    assert "dwf_steps.runtime.parent" in done.stderr
    assert not {"numpy", "pydantic", "torch", "logging"} & {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines()
    }
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_is_terminated_while_it_imports_ends(tmp_path: Path) -> None:
    process = subprocess.Popen(command(tmp_path / "data.npz"), env=environment(), stderr=subprocess.PIPE)
    time.sleep(0.1)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGTERM, TERMINATED)
    assert list(tmp_path.iterdir()) == []
