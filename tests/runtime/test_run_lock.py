"""What a second run is told of the first: at work, killed, out of sight, or unknown."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import ROOT
from snakemake.persistence.file import FilePersistence

from dwf_steps.runtime.run_lock import Holder, cluster_jobs, read_markers, read_run, refusal, steps_at_work

HOLD = (
    "from pathlib import Path; from dwf_steps.runtime.run_lock import record_run; "
    "record_run(Path('locks')); input()"
)
# Outputs with a name too long for one file name are divided over folders.
LONG = "results/" + "long_" * 60 + "name.json"


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / "0.output.lock").touch()
    return folder


@pytest.fixture
def run(locks: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has recorded itself as the run at work."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=locks.parent, env={"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not (locks / "run.json").is_file():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    yield process
    process.kill()
    process.communicate()


def test_a_run_at_work_is_named_and_not_to_be_unlocked(
    locks: Path, run: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    holder, record = read_run(locks)
    assert holder is Holder.ALIVE
    assert record is not None
    assert (record.pid, record.host) == (run.pid, socket.gethostname())
    assert abs(record.started - time.time()) < 60
    told = refusal(locks, tmp_path / "incomplete")
    assert told.startswith(f"Another run is at work in this directory: process {run.pid} on host ")
    assert "`make status`" in told
    assert "--unlock" not in told


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_is_known_to_be_gone(
    locks: Path, run: subprocess.Popen[bytes], tmp_path: Path, how: signal.Signals
) -> None:
    run.send_signal(how)
    run.wait()
    assert read_run(locks)[0] is Holder.GONE
    told = refusal(locks, tmp_path / "incomplete")
    assert told.startswith(f"A run was killed in this directory and left its lock: process {run.pid} ")
    assert told.endswith(
        "To go on, remove the lock with `snakemake --unlock`, and start again: what is finished is kept, and "
        "interrupted training continues."
    )


@pytest.mark.usefixtures("run")
def test_a_run_on_another_host_is_not_called_gone_because_its_lock_cannot_be_seen(locks: Path) -> None:
    record = json.loads((locks / "run.json").read_text())
    (locks / "run.json").unlink()  # and with it the lock of the file
    (locks / "run.json").write_text(json.dumps({**record, "host": "login2"}))
    assert read_run(locks)[0] is Holder.UNSEEN
    assert "cannot be seen from here: process" in refusal(locks) and "on host login2" in refusal(locks)


def test_a_lock_without_record_may_be_a_run_that_is_starting(locks: Path) -> None:
    assert read_run(locks) == (Holder.UNNAMED, None)
    assert "just starting, or was killed" in refusal(locks)


@pytest.mark.usefixtures("run")
def test_a_record_without_a_lock_says_nothing(locks: Path) -> None:
    (locks / "0.output.lock").unlink()
    assert read_run(locks) == (Holder.NONE, None)
    assert read_run(locks / "nowhere") == (Holder.NONE, None)


def test_jobs_of_a_killed_run_are_to_be_cancelled_first(
    locks: Path, run: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    run.kill()
    run.wait()
    write_marker(tmp_path / "incomplete", "results/a", "41")
    write_marker(tmp_path / "incomplete", LONG, "42")
    write_marker(tmp_path / "incomplete", "results/local", None)
    old = write_marker(tmp_path / "incomplete", "results/old", "7")
    os.utime(old, (1, 1))
    markers = read_markers(tmp_path / "incomplete")
    assert markers.keys() == {"results/a", LONG, "results/local", "results/old"}
    assert cluster_jobs(markers, since=2) == ["41", "42"]
    assert "end the jobs that it left running (`scancel 41 42`), remove the lock" in refusal(
        locks, tmp_path / "incomplete"
    )


def write_marker(folder: Path, output: str, external_jobid: str | None) -> Path:
    """Write a marker as Snakemake does, and return its path."""
    persistence = object.__new__(FilePersistence)
    persistence._max_len, persistence._incomplete_cache = None, None
    persistence._incomplete_path = str(folder)
    folder.mkdir(exist_ok=True)
    persistence._mark_incomplete(output, external_jobid)
    return Path(persistence._record_path(str(folder), output))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are found in /proc")
def test_steps_at_work_in_this_directory_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "dwf_steps"
    package.mkdir()
    (package / "sleep.py").write_text("print('ready', flush=True)\nimport time\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "dwf_steps.sleep"], cwd=tmp_path, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        monkeypatch.chdir(tmp_path)
        assert steps_at_work() == [process.pid]
        monkeypatch.chdir(package)
        assert steps_at_work() == []
    finally:
        process.kill()
        process.communicate()
