"""Names of an experiment's levels, read from the path of a file."""

from pathlib import Path

LEVELS = ("zoo", "canonicalization", "representation", "subspace", "generator", "recalibration")


def path_lineage(path: Path, depth: int) -> dict[str, str]:
    """Return the names of the folders that contain a file, by level.

    Parameters
    ----------
    path
        A file of the results, such as ``results/{zoo}/{canon}/{representation}/shares.csv``.
    depth
        How many folders above the file to read.

    Returns
    -------
    By level, starting with the zoo, the name of the folder.
    """
    folders = path.parts[-1 - depth : -1]
    return dict(zip(LEVELS, folders, strict=False))


def benchmark_lineage(path: Path) -> dict[str, str]:
    """Return the names of all levels of a benchmark file.

    Parameters
    ----------
    path
        A file below ``results/benchmarks/``.

    Returns
    -------
    By level its name; an empty string for levels below the file's.
    """
    depth = len(path.parts) - 2 - path.parts.index("benchmarks")
    return dict.fromkeys(LEVELS, "") | path_lineage(path, depth)
