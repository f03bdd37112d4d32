"""One Slurm for all tests in this folder."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from slurm.cluster import Cluster, Unavailable, cluster


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a running cluster; the tests are skipped where none can be installed."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(cluster(tmp_path_factory.mktemp("slurm")))
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield running
