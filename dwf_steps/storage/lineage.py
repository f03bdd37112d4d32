"""The path is the lineage: reading names back from where a file lies."""

from pathlib import Path

LEVELS = ("zoo", "canonicalization", "representation", "subspace", "generator", "recalibration")


def path_lineage(path: Path, depth: int) -> dict[str, str]:
    """Return the names of the ``depth`` folders above a file, outermost first, by level."""
    folders = path.parts[-1 - depth : -1]
    return dict(zip(LEVELS, folders, strict=False))


def benchmark_lineage(path: Path) -> dict[str, str]:
    """Return the names of all levels above a file below ``benchmarks/``; deeper levels are empty."""
    depth = len(path.parts) - 2 - path.parts.index("benchmarks")
    return dict.fromkeys(LEVELS, "") | path_lineage(path, depth)
