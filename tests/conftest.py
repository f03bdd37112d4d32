"""Fixtures that run the real workflow."""

from collections.abc import Callable

import pytest
import torch
from checkout import Checkout, copy_repository

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
