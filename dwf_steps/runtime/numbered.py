"""Files that differ in a number, as one argument: ``zoo/shard-[0..11].json`` stands for twelve.

Linux limits one argument to 128 KiB, and a rule's whole command is one: lists that grow with the number of
networks cannot be on it.
"""

import re
from pathlib import Path

RANGE = re.compile(r"\[(\d+)\.\.(\d+)\]")


def numbered(text: str) -> list[Path]:
    """Return the paths that an argument stands for: one for each number of its range, itself without one,
    none where it is empty.

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
        raise ValueError(f"{text}: found {len(ranges)} ranges, from {first} to {last}; expected one, upwards")
    return [Path(RANGE.sub(str(number), text)) for number in range(first, last + 1)]
