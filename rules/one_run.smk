"""One run at a time in a directory: a second one is told what holds the lock, and how to proceed."""

import snakemake.exceptions

from dwf_steps.runtime.run_lock import record_run, refusal


class LockedDirectory(snakemake.exceptions.LockException):
    """Snakemake's own refusal, in words that tell a run at work from one that was killed."""

    def __init__(self):
        WorkflowError.__init__(self, refusal())


# Snakemake alone decides whether a directory is locked, before any hook of the workflow is called.
snakemake.exceptions.LockException = LockedDirectory


onstart:
    record_run()
