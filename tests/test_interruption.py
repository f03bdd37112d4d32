"""Killed runs continue: no work repeated, same results as an undisturbed run."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from checkout import Checkout, environment

from dwf_steps.runtime.run_lock import INCOMPLETE, read_markers


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended before it could be killed"
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


# As Snakemake would have it: two threads that compete for a busy machine's cores are twenty times slower.
ONE_THREAD = environment() | {"OMP_NUM_THREADS": "1"}
SLOW_FLOW = {"kind": "flow", "training": {"steps": 1500}, "velocity": {"width": 32}}


def flow_command(finished: Checkout, output: Path) -> list[str]:
    canon = finished.folder / "results/micro/none"
    return [
        *(sys.executable, "-m", "dwf_steps.fit_generator"),
        *("--settings", json.dumps({"generator": SLOW_FLOW})),
        *("--basis", str(canon / "weights/pca_4/basis.npz"), "--weights", str(canon / "weights.zarr")),
        *("--output", str(output / "model.safetensors"), "--losses", str(output / "training.csv")),
        *("--checkpoint-seconds", "0.1"),
    ]


def test_a_killed_flow_resumes_to_the_weights_of_an_undisturbed_one(
    finished: Checkout, tmp_path: Path
) -> None:
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    process = subprocess.Popen(flow_command(finished, killed), cwd=finished.folder, env=ONE_THREAD)
    wait_for((killed / "model.checkpoint").is_file, process)
    process.kill()
    process.wait()
    assert not (killed / "model.safetensors").exists()

    for output in (killed, undisturbed):
        done = subprocess.run(
            flow_command(finished, output),
            cwd=finished.folder,
            env=ONE_THREAD,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert ("resumed after step" in done.stderr) == (output == killed)
    for name in ("model.safetensors", "training.csv"):
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes()
    visible = sorted(path.name for path in killed.iterdir() if not path.name.startswith("."))
    assert visible == ["model.safetensors", "training.csv"]


def test_a_step_ends_and_saves_when_the_process_that_started_it_is_killed(
    finished: Checkout, tmp_path: Path
) -> None:
    starter = (
        "import os, subprocess, sys; os.environ['DWF_ENDS_WITH_PARENT'] = str(os.getpid()); "
        "subprocess.run(sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", starter, *flow_command(finished, tmp_path)],
        cwd=finished.folder,
        env=ONE_THREAD,
        stderr=subprocess.PIPE,
    )
    wait_for((tmp_path / "model.checkpoint").is_file, process)
    process.kill()
    _, log = process.communicate(timeout=60)  # the step holds the pipe until it ends
    assert b"terminated" in log
    assert [path.name for path in tmp_path.iterdir()] == ["model.checkpoint"]


STAGES = {
    "zoo training": "micro/train_zoo-1.log",
    "alignment": "micro/git_rebasin/canonicalize-1.log",
    "Gram accumulation": "micro/git_rebasin/weights/accumulate_gram-1.log",
    "flow training": "micro/git_rebasin/weights/pca_4/flow/fit_generator.log",
}
TERMINATED = "flow training"  # where the run is asked to end; in the other stages it is killed


def start(checkout: Checkout) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        checkout.command("all"),
        cwd=checkout.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finished_files(checkout: Checkout) -> dict[Path, int]:
    """Return when each network and each array was written, but for jobs that Snakemake has marked as begun
    and not as ended."""
    begun = read_markers(checkout.folder / INCOMPLETE).keys()
    files = [
        path
        for path in checkout.folder.glob("results/micro/**/*")
        if path.is_file() and not path.name.startswith(".") and ".partial-" not in str(path)
    ]
    return {
        path: path.stat().st_mtime_ns
        for path in files
        if not {str(p.relative_to(checkout.folder)) for p in (path, path.parent)} & begun
    }


def one_flow(checkout: Checkout) -> Checkout:
    """Let the checkout ask for a flow in one subspace of one canonicalization."""
    cell = {"canonicalizations": ["git_rebasin"], "subspaces": ["pca_4"], "generators": ["flow"]}
    checkout.config["experiments"] = [{"zoos": ["micro"]} | cell]
    checkout.write_config()
    return checkout


def test_a_run_killed_in_every_stage_ends_with_the_same_tables_and_repeats_no_finished_work(
    new_checkout: Callable[[], Checkout],
) -> None:
    checkout, undisturbed = one_flow(new_checkout()), one_flow(new_checkout())
    undisturbed.snakemake("tables")
    logs = checkout.folder / "results/logs"
    done: dict[Path, int] = {}
    for stage, log in STAGES.items():
        process = start(checkout)
        wait_for((logs / log).is_file, process)
        if stage == TERMINATED:
            process.terminate()
            assert process.wait(timeout=60) == 1
            assert not (checkout.folder / ".snakemake/locks").exists()
            continue
        process.kill()
        process.wait()
        assert {path: path.stat().st_mtime_ns for path in done} == done, stage
        if stage == "zoo training":
            assert "Interrupted by a kill" in checkout.status()
        done = finished_files(checkout)
        refused = checkout.snakemake("all", check=False)
        assert f"A run was killed in this directory and left its lock: process {process.pid} " in refused
        assert "remove the lock with `snakemake --unlock`" in refused
        checkout.snakemake("--unlock")

    process = start(checkout)
    wait_for((checkout.folder / ".snakemake/locks/run.json").is_file, process)
    during, refused = checkout.status(), checkout.snakemake("all", check=False)
    assert process.poll() is None, "the run was too short to be asked about"
    assert f"At work: process {process.pid} on host " in during
    assert re.search(r"^train_zoo +2/2", during, re.M)
    assert f"Another run is at work in this directory: process {process.pid} " in refused
    assert "make status" in refused and "--unlock" not in refused
    process.kill()
    process.wait()
    assert f"One was killed and left its lock: process {process.pid} " in checkout.status()
    checkout.snakemake("--unlock")
    checkout.snakemake("all")
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert not list(checkout.folder.rglob("*.partial-*"))
    assert not list(checkout.folder.rglob("*.checkpoint"))
    assert checkout.tables() == undisturbed.tables()
