"""Killed runs continue: no work repeated, same results as an undisturbed run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from checkout import Checkout, environment


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended before it could be killed"
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


def flow_command(finished: Checkout, output: Path) -> list[str]:
    canon = finished.folder / "results/micro/none"
    return [
        *(sys.executable, "-m", "dwf_steps.train_flow"),
        *("--settings", '{"flow": {"kind": "flow", "training": {"steps": 1500}, "velocity": {"width": 32}}}'),
        *("--basis", str(canon / "pca_4/basis.npz"), "--weights", str(canon / "weights.zarr")),
        *("--output", str(output / "model.safetensors"), "--losses", str(output / "training.csv")),
        *("--checkpoint-seconds", "0.1"),
    ]


def test_a_killed_flow_resumes_to_the_weights_of_an_undisturbed_one(
    finished: Checkout, tmp_path: Path
) -> None:
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    process = subprocess.Popen(flow_command(finished, killed), cwd=finished.folder, env=environment())
    wait_for((killed / "model.checkpoint").is_file, process)
    process.kill()
    process.wait()
    assert not (killed / "model.safetensors").exists()

    for output in (killed, undisturbed):
        done = subprocess.run(
            flow_command(finished, output),
            cwd=finished.folder,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert ("resumed after step" in done.stderr) == (output == killed)
    for name in ("model.safetensors", "training.csv"):
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes()
    assert sorted(p.name for p in killed.iterdir()) == ["model.safetensors", "training.csv"]


def test_a_killed_run_continues_and_ends_with_the_same_tables(
    finished: Checkout, new_checkout: Callable[[], Checkout]
) -> None:
    checkout = new_checkout()
    started = checkout.folder / "results/logs/micro/none/pca_4/flow/train_flow.log"
    process = subprocess.Popen(
        checkout.command("all"),
        cwd=checkout.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(started.is_file, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    trained = {path: path.stat().st_mtime_ns for path in checkout.folder.glob("results/micro/zoo/*.json")}
    assert len(trained) == 2

    refused = checkout.snakemake("all", check=False)
    assert "--unlock" in refused
    checkout.snakemake("--unlock")
    checkout.snakemake("all")
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    assert not list(checkout.folder.rglob("*.partial-*"))
    assert not list(checkout.folder.rglob("*.checkpoint"))
    for name in ("accuracy", "novelty", "alignment"):
        assert checkout.results(f"tables/{name}.*") == finished.results(f"tables/{name}.*")
