"""Arguments that stand for many numbered files: ``zoo/shard-[0..11].json`` stands for twelve.

A rule's whole command is one argument of the shell, which Linux limits to 128 KiB. Lists that grow with the
number of networks do not fit on it.
"""

import re
from pathlib import Path

RANGE = re.compile(r"\[(\d+)\.\.(\d+)\]")


def numbered(text: str) -> list[Path]:
    """Expand an argument to the paths that it stands for.

    Parameters
    ----------
    text
        A path with at most one range, such as ``zoo/shard-[0..11].json``.

    Returns
    -------
    A path for each number of the range; the path itself if there is no range; no path if the text is empty.

    Raises
    ------
    ValueError
        If there is more than one range, or one that ends before it begins.
    """
    ranges = RANGE.findall(text)
    if not ranges:
        return [Path(text)] if text else []
    first, last = map(int, ranges[0])
    if len(ranges) > 1 or last < first:
        raise ValueError(
            f"{text}: found {len(ranges)} ranges, from {first} to {last}; expected one ascending range"
        )
    return [Path(RANGE.sub(str(number), text)) for number in range(first, last + 1)]
