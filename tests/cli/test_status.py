"""Status tells the truth about a real workflow, and changes nothing."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkout import Checkout, changed_config, environment

from dwf_steps.cli.jobs import Job, Stale, State, read_failures, stale, states
from dwf_steps.runtime.run_lock import Holder, Marker, Run

FAILING = """
rule broken:
    output: "results/a.txt", "results/b.txt"
    log: "results/logs/broken.log"
    shell: "echo 'ValueError: no such luck' > {log}; exit 1"
"""
RUN = Run(7, "here", 1000.0, "snakemake all")


def paragraph(text: str, title: str) -> list[str]:
    """Return the lines below a title."""
    found = re.search(rf"^{re.escape(title)}.*:?.*\n((?:  .*\n?)+)", text, re.M)
    return found[1].splitlines() if found else []


def job(name: str = "a", reasons: tuple[str, ...] = ("missing",), log: Path | None = None) -> Job:
    outputs = (f"results/{name}.json", f"results/{name}")
    return Job("rule", f"name={name}", outputs, str(log) if log else None, None, reasons)


def files_of(checkout: Checkout) -> dict[Path, tuple[int, int]]:
    """Return size and time of every file, but for Python's caches and Snakemake's."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in checkout.folder.rglob("*")
        if path.is_file() and not {"__pycache__", "iocache"} & set(path.parts)
    }


def test_a_finished_checkout_is_done_and_left_as_it_is(finished: Checkout) -> None:
    before = files_of(finished)
    text = finished.status()
    assert files_of(finished) == before
    assert text.startswith("No run is at work.\n")
    assert re.search(r"^train_zoo +2/2\s*$", text, re.M)
    assert re.search(r"^evaluate +6/6\s*$", text, re.M)
    counts = re.findall(r"(\d+)/(\d+)", text)
    assert len(counts) > 10 and all(done == total for done, total in counts)
    assert "To run" not in text and "Not used by" not in text


def test_a_missing_result_and_what_follows_are_to_run(finished: Checkout) -> None:
    metrics = finished.folder / "results/micro/git_rebasin/weights/pca_4/flow/none/metrics.csv"
    away = finished.folder.parent / f"{finished.folder.name}-metrics.csv"
    shutil.move(metrics, away)
    try:
        text = finished.status()
    finally:
        shutil.move(away, metrics)
    assert re.search(r"^evaluate +5/6 +1$", text, re.M)
    assert paragraph(text, "To run, and why") == [
        "     1  evaluate: output files have to be generated",
        "     1  tabulate: input files updated by another job",
        "     1  plot: input files updated by another job",
    ]


def test_a_changed_setting_is_told_and_files_left_over_are_listed(finished: Checkout) -> None:
    with changed_config(finished, lambda config: config["zoos"]["micro"].update(shard_size=10)):
        text = finished.status()
        listed = subprocess.run(
            [
                *(sys.executable, "-m", "dwf_steps.cli.status", "--stale"),
                *("--configfile", "experiment.yaml"),
            ],
            cwd=finished.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
    assert "     1  train_zoo: settings have changed" in paragraph(text, "To run, and why")
    assert listed == [
        "results/benchmarks/micro/git_rebasin/canonicalize-1.tsv",
        "results/benchmarks/micro/none/canonicalize-1.tsv",
        "results/benchmarks/micro/train_zoo-1.tsv",
        "results/logs/micro/git_rebasin/canonicalize-1.log",
        "results/logs/micro/none/canonicalize-1.log",
        "results/logs/micro/score_zoo-1.log",
        "results/logs/micro/train_zoo-1.log",
        *(
            f"results/micro/{folder}/{name}"
            for folder, names in {
                "git_rebasin/aligned": [".shard-1.csv.sha256", "shard-1", "shard-1.csv", "shard-1.json"],
                "none/aligned": [".shard-1.csv.sha256", "shard-1", "shard-1.csv", "shard-1.json"],
                "outputs": ["shard-1.npz"],
                "zoo": ["shard-1", "shard-1.json"],
            }.items()
            for name in names
        ),
    ]
    assert [line.split()[-1] for line in paragraph(text, "Not used by")] == listed
    assert re.search(r" KiB +6 files  results/micro/zoo/shard-1$", text, re.M)
    assert "--stale --configfile experiment.yaml | xargs -rd '\\n' rm -r" in text


def test_a_mistaken_configuration_is_refused_as_by_a_run(finished: Checkout) -> None:
    with changed_config(finished, lambda config: config["zoos"]["micro"].update(seeds=-1)):
        done = subprocess.run(
            [sys.executable, "-m", "dwf_steps.cli.status", "--configfile", "experiment.yaml"],
            cwd=finished.folder,
            env=environment(),
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert "zoos.micro" in done.stderr and "Traceback" not in done.stderr


def test_failures_are_read_from_the_log_of_a_real_run(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(FAILING)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--workflow-profile", "none"]
    assert subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True).returncode == 1
    subprocess.run([*command, "--unlock"], cwd=tmp_path, env=environment(), capture_output=True, check=True)
    assert read_failures(tmp_path / ".snakemake/log") == {"results/a.txt": "", "results/b.txt": ""}


def test_a_failure_on_a_cluster_keeps_its_message(tmp_path: Path) -> None:
    (tmp_path / "1.snakemake.log").write_text(
        "Select jobs to execute...\nError in rule decode:\n    message: SLURM-job '5' failed, SLURM status "
        "is: 'OUT_OF_MEMORY'.\n    jobid: 3\n    input: results/i\n    output: results/a, results/b\n"
        "    log: results/l (check log file(s) for error details)\n\nError in rule other:\n"
        "    message: None\n    jobid: 4\n    output: results/c\n"
    )
    (tmp_path / "2.snakemake.log").write_text("Unlocked working directory.\n")
    message = "SLURM-job '5' failed, SLURM status is: 'OUT_OF_MEMORY'."
    assert read_failures(tmp_path) == {"results/a": message, "results/b": message, "results/c": ""}
    (tmp_path / "3.snakemake.log").write_text("Select jobs to execute...\n")
    assert read_failures(tmp_path) == {}


def test_what_a_job_is_at(tmp_path: Path) -> None:
    def at(holder: Holder, marker: Marker | None, one: Job) -> State:
        markers = {one.outputs[0]: marker} if marker else {}
        run = None if holder in (Holder.NONE, Holder.UNNAMED) else RUN
        return states([one], holder, run, markers, {"results/failed": ""})[one]

    log = tmp_path / "step.log"
    started, earlier = Marker(1001.0, None), Marker(999.0, None)
    assert at(Holder.NONE, None, job(reasons=())) is State.DONE
    assert at(Holder.NONE, None, job()) is State.TO_RUN
    assert at(Holder.ALIVE, started, job()) is State.RUNNING
    assert at(Holder.ALIVE, started, job(reasons=())) is State.DONE
    assert at(Holder.ALIVE, earlier, job()) is State.KILLED
    assert at(Holder.UNSEEN, started, job()) is State.RUNNING
    assert at(Holder.GONE, started, job()) is State.KILLED
    assert at(Holder.NONE, started, job()) is State.KILLED
    assert at(Holder.NONE, None, job("failed")) is State.FAILED
    assert at(Holder.ALIVE, Marker(time.time(), "123"), job(log=log)) is State.QUEUED
    log.write_text("12:00:00 step 1/2, 3 s to go\n")
    assert at(Holder.ALIVE, Marker(time.time(), "123"), job(log=log)) is State.RUNNING
    assert at(Holder.ALIVE, Marker(time.time() + 60, "123"), job(log=log)) is State.QUEUED
    assert at(Holder.NONE, None, job(log=log)) is State.TO_RUN
    log.write_text("12:00:00 training\nTraceback (most recent call last):\nFloatingPointError: bad\n\n")
    assert at(Holder.NONE, None, job(log=log)) is State.FAILED
    assert at(Holder.ALIVE, started, job(log=log)) is State.RUNNING


def test_stale_are_whole_folders_and_nothing_that_a_pending_job_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done, pending = job("x/done", reasons=()), job("y/pending")
    for name in (
        *("x/done.json", "x/done/inside.bin", "x/done.checkpoint", "y/pending.checkpoint"),
        *("y/pending.json.partial-0a1b2c3d/pending.json", "y/pending.checkpoint.partial-0a1b2c3d/p"),
        *("x/other/deep/1.bin", "x/other/2.bin", "z.txt", "report.html"),
    ):
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    (tmp_path / "results/empty/folder").mkdir(parents=True)
    assert stale([done, pending]) == [
        Stale(Path("results/x/done.checkpoint"), 1, 5),
        Stale(Path("results/x/other"), 2, 10),
        Stale(Path("results/z.txt"), 1, 5),
    ]
    assert stale([done, pending], tmp_path / "nowhere") == []
