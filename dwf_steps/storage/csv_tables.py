"""Results as csv files: names stay text, whatever they look like, and damage is noticed."""

from io import StringIO
from pathlib import Path

import pandas as pd

from dwf_steps.storage.lineage import LEVELS
from dwf_steps.storage.texts import read_text, write_text

# Columns with names, some of which users choose: `007` is no number, `null` is not missing.
NAMES = frozenset(
    (
        *(*LEVELS, "network", "nearest", "similar", "kind", "family", "swept", "metric", "novelty"),
        *("transfer", "widths", "layer", "stage", "stored_as", "unit"),
    )
)


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame, without its index, and its digest.

    Raises
    ------
    ValueError
        If two columns have one name.
    """
    require_distinct_columns(frame)
    write_text(path, frame.to_csv(index=False))


def read_csv(path: Path) -> pd.DataFrame:
    """Read what `write_csv` wrote: columns of `NAMES` are text, an empty field elsewhere is NaN.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    text = read_text(path)
    columns = pd.read_csv(StringIO(text), nrows=0).columns
    values = {name: [""] for name in columns if name not in NAMES}
    names = {name: str for name in columns if name in NAMES}
    return pd.read_csv(StringIO(text), dtype=names, keep_default_na=False, na_values=values)


def require_distinct_columns(frame: pd.DataFrame) -> None:
    """Raise `ValueError` if two columns of a frame have one name."""
    twice = frame.columns[frame.columns.duplicated()].unique()
    if len(twice):
        raise ValueError(
            f"several columns are called {', '.join(map(repr, twice))}; expected one of each name"
        )
