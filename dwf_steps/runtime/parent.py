"""Ending a step together with the process that started it. Imported first, so it imports nothing heavy."""

import ctypes
import os
import signal
import sys

from dwf_steps.runtime.errors import TERMINATED

VARIABLE = "DWF_ENDS_WITH_PARENT"  # the parent's process identifier
PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with_parent() -> None:
    """Ask the kernel to send SIGTERM when the parent ends; exit if it has ended already (on Linux).

    Does nothing unless the environment variable DWF_ENDS_WITH_PARENT has the parent's process identifier, as
    it does for jobs that Snakemake starts.

    Raises
    ------
    SystemExit
        If the parent is not the process that the variable names.
    """
    expected = os.environ.get(VARIABLE)
    if not expected or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # Checked after the request, or a parent that ends between the two would go unnoticed.
    if os.getppid() != int(expected):
        raise SystemExit(TERMINATED)
