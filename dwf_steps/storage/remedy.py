"""What to do about a damaged result, in words."""

from pathlib import Path


def rebuild(*outputs: Path, cached: Path | None = None) -> str:
    """Return which outputs of a rule to delete, and the command that then rebuilds them.

    ``snakemake`` without a target would not: it leaves alone what finished results no longer need.

    Parameters
    ----------
    outputs
        What Snakemake knows the damaged file by: of a file in a shard its manifest, of a chunk its matrix.
    cached
        Where else the damage lies. Links among ``outputs``, into a cache that is shared, are followed anyway.
    """
    names = " ".join(map(str, outputs))
    links = [*([cached] if cached else []), *(path.resolve() for path in outputs if path.is_symlink())]
    also = f" and, in the cache, {' '.join(map(str, links))}" if links else ""
    return f"delete {names}{also}, then `snakemake {names}` rebuilds {'it' if len(outputs) == 1 else 'them'}"
