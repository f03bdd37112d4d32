"""A run guards its directory while it lives, and ends at once when it is asked to."""

import subprocess
import sys
import time
from pathlib import Path

from checkout import ROOT, environment

from dwf_steps.runtime.run_lock import RECORD

SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from dwf_steps.pipeline.one_run import one_run_at_a_time
one_run_at_a_time(workflow)
shell.prefix("exec ")
rule endless:
    output: "late"
    shell: "{sys.executable} -c 'open(\\"begun\\", \\"w\\"); import time; time.sleep(300)' dwf_steps.endless"
"""
SNAKEMAKE = (sys.executable, "-m", "snakemake", "--workflow-profile", "none", "--cores", "1")


def test_a_run_is_not_unlocked_while_it_works_and_ends_with_its_steps_when_it_is_terminated(
    tmp_path: Path,
) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    run = subprocess.Popen(
        SNAKEMAKE, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "begun").exists():
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        unlocking = subprocess.run(
            [*SNAKEMAKE, "--unlock"], cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert unlocking.returncode == 1
        assert f"Not unlocked: a run is at work in this directory: process {run.pid} " in unlocking.stderr
        assert (tmp_path / ".snakemake/locks" / RECORD).is_file()
        run.terminate()
        output, _ = run.communicate(timeout=60)  # of the 300 s that the step would go on
    finally:
        run.kill()
    assert run.returncode == 1
    assert b"Terminating processes on user request" in output
    assert not (tmp_path / ".snakemake/locks").exists()  # the next run needs no --unlock
    assert not (tmp_path / "late").exists()
