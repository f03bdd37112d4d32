"""Snakemake that asks Slurm twice a second how its jobs do.

The plugin asks ten seconds later each time it finds no job ended, which no option changes.
"""

import asyncio
import runpy

from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

PAUSE = 0.5  # seconds


async def wait(_: RemoteExecutor) -> None:
    await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    RemoteExecutor.sleep = wait
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
