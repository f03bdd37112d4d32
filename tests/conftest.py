"""Fixtures that run the real workflow."""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

# PyTorch reads it when it is loaded: threads that spin for each other slow down a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch
import yaml
from checkout import MICRO, Checkout, copy_repository

from dwf_steps.runtime import progress

# Two threads that compete for a busy machine's cores wait for each other: twenty times slower than one.
torch.set_num_threads(1)


# The files that take longest come first, so that processes that share the tests end at about the same time.
LONGEST = (
    "slurm/test_cluster.py",
    "test_every_control.py",
    "test_architectures.py",
    "test_damage.py",
    "test_many_networks.py",
    "test_growing_zoo.py",
    "test_interruption.py",
    "test_cuda.py",
    "test_rerun.py",
    "test_flow_analysis.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin; all others keep their order."""
    rank = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session")
def new_checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Checkout]:
    """Return a function that makes a fresh copy of the repository with the micro configuration."""
    return lambda: copy_repository(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a checkout in which everything has run. Tests must leave it as they found it.

    Processes that share the tests run it once; each works on its own copy.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent / "finished" if "PYTEST_XDIST_WORKER" in os.environ else base / "finished"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            running = shared.with_suffix(".running")
            shutil.rmtree(running, ignore_errors=True)
            running.mkdir()
            copy_repository(running).snakemake("all")
            running.rename(shared)
    own = base / "checkout"
    shutil.copytree(shared, own)
    return Checkout(own, yaml.safe_load(MICRO))


@pytest.fixture
def progress_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> pytest.LogCaptureFixture:
    """Return the log with a line of progress after everything counted, however fast it goes."""
    for pause in ("SHORT", "PAUSE", "PAUSE_SHARE"):
        monkeypatch.setattr(progress, pause, 0.0)
    caplog.set_level(logging.INFO)
    return caplog
