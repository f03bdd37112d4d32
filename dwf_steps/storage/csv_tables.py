"""Results as csv files: names are read back as text, and damage is detected."""

from io import StringIO
from pathlib import Path

import pandas as pd

from dwf_steps.storage.lineage import LEVELS
from dwf_steps.storage.texts import read_text, write_text

# Columns of names, some of them chosen by users: there `007` is not a number, and `null` not a missing value.
NAMES = frozenset(
    (
        *(*LEVELS, "network", "nearest", "similar", "kind", "family", "swept", "metric", "novelty"),
        *("transfer", "widths", "layer", "class", "stage", "stored_as", "unit"),
    )
)


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table to a csv file, without its index, and the file's digest beside it.

    Parameters
    ----------
    path
        The csv file; its digest is at `texts.digest_file`.
    frame
        The table, with distinct column names.

    Raises
    ------
    ValueError
        If two columns have the same name.
    """
    require_distinct_columns(frame)
    write_text(path, frame.to_csv(index=False))


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table that `write_csv` wrote.

    Parameters
    ----------
    path
        The csv file.

    Returns
    -------
    The table; columns in `NAMES` are text, in all others an empty field is NaN.

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
    """Require that the columns of a table have distinct names.

    Parameters
    ----------
    frame
        The table.

    Raises
    ------
    ValueError
        If two columns have the same name.
    """
    twice = frame.columns[frame.columns.duplicated()].unique()
    if len(twice):
        raise ValueError(
            f"several columns are called {', '.join(map(repr, twice))}; expected one of each name"
        )
