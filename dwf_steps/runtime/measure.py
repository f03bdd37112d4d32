"""Time and memory that a step took, stored as an output.

Snakemake measures its own jobs, but not those whose outputs come from its between-workflow cache: a benchmark
file cannot be cached.
"""

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# ru_maxrss is in bytes on macOS and in KiB elsewhere.
MAXRSS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10


@contextmanager
def measured(path: Path) -> Iterator[None]:
    """Measure a block, and write a file with its time and memory when it ends without an error.

    Parameters
    ----------
    path
        The file: tab-separated, with the columns of Snakemake's benchmark files; ``s``, the block's seconds,
        and ``max_rss``, the process's peak memory in MiB.

    Yields
    ------
    Nothing.
    """
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MAXRSS_PER_MIB
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(f"s\tmax_rss\n{seconds:.4f}\t{memory:.2f}\n", encoding="utf-8")
    os.replace(partial, path)
