"""Instructions for rebuilding a damaged result."""

from pathlib import Path


def rebuild(*outputs: Path, cached: Path | None = None) -> str:
    """Return which outputs of a rule to delete, and the command that then rebuilds them.

    The command names the outputs: without a target, ``snakemake`` ignores intermediate files that finished
    results no longer need.

    Parameters
    ----------
    outputs
        The paths by which Snakemake knows the damaged file: the manifest for a file of a shard, the matrix
        for a chunk.
    cached
        A further path to delete, in a shared cache. Symbolic links among ``outputs`` are always resolved.

    Returns
    -------
    A clause for the end of an error message.
    """
    names = " ".join(map(str, outputs))
    links = [*([cached] if cached else []), *(path.resolve() for path in outputs if path.is_symlink())]
    also = f" and, in the cache, {' '.join(map(str, links))}" if links else ""
    return f"delete {names}{also}, then `snakemake {names}` rebuilds {'it' if len(outputs) == 1 else 'them'}"
