"""A step ends with the process that started it. Imports nothing heavy: the first thing that a step does."""

import ctypes
import os
import signal
import sys

from dwf_steps.runtime.errors import TERMINATED

VARIABLE = "DWF_ENDS_WITH_PARENT"  # the parent's process identifier
PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends, and end now if it has ended already (on Linux).

    Nothing happens unless the environment variable DWF_ENDS_WITH_PARENT names the parent: Snakemake does.

    Raises
    ------
    SystemExit
        If the parent is not the process that the variable names.
    """
    expected = os.environ.get(VARIABLE)
    if not expected or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # Only after the request: a parent that ends between a look and the request would never be noticed.
    if os.getppid() != int(expected):
        raise SystemExit(TERMINATED)
