"""Fixtures that run the real workflow."""

import logging
from collections.abc import Callable

import pytest
import torch
from checkout import Checkout, copy_repository

from dwf_steps import progress

# Two threads that compete for a busy machine's cores wait for each other: twenty times slower than one.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def new_checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Checkout]:
    """Return a function that makes a fresh copy of the repository with the micro configuration."""
    return lambda: copy_repository(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def finished(new_checkout: Callable[[], Checkout]) -> Checkout:
    """Return a checkout in which everything has run. Tests must leave it as they found it."""
    checkout = new_checkout()
    checkout.snakemake("all")
    return checkout


@pytest.fixture
def progress_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> pytest.LogCaptureFixture:
    """Return the log with a line of progress after everything counted, however fast it goes."""
    for pause in ("SHORT", "PAUSE", "PAUSE_SHARE"):
        monkeypatch.setattr(progress, pause, 0.0)
    caplog.set_level(logging.INFO)
    return caplog
