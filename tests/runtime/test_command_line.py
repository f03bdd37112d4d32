"""How a step's process ends."""

import signal
import subprocess
import sys

from checkout import environment

from dwf_steps.runtime.errors import TERMINATED

STEP = """
import signal, time
from dwf_steps.runtime.command_line import run

class Terminating:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

def main():
    {work}
    time.sleep(0.2)
    print("went on")

run(main)
"""


def outcome(work: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", STEP.format(work=work)], env=environment(), capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def test_a_terminated_step_ends_with_the_status_of_one_wherever_the_signal_comes() -> None:
    assert outcome(f"signal.raise_signal({signal.SIGTERM:d})") == (TERMINATED, "")
    # Python drops what is raised in a finaliser: without care the step would go on.
    assert outcome("Terminating()") == (TERMINATED, "")
    assert outcome("pass") == (0, "went on\n")


def test_errors_for_users_end_a_step_with_a_line_and_mistakes_of_its_own_with_a_traceback() -> None:
    for kind in ("InputError", "NumericalError"):
        raised = f"from dwf_steps.runtime.errors import {kind}; raise {kind}('lower training.lr')"
        assert outcome(raised) == (1, "error: lower training.lr\n"), kind
    status, text = outcome("1 / 0")
    assert status == 1 and text.startswith("Traceback") and "ZeroDivisionError" in text
