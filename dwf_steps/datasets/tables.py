"""Tables: those bundled with scikit-learn, and csv files.

scikit-learn and pandas are imported only by the functions that need them, because together they take seconds.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dwf_steps.config.dataset import RegressionTarget, TableFile
from dwf_steps.datasets.classes import in_order, listed, require_different, require_two_of_each
from dwf_steps.runtime.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


Examples = tuple[np.ndarray, np.ndarray]
"""Features (m, features) and targets (m,)."""


def bundled_table(name: str) -> tuple[Examples, list[str]]:
    """Load a data set bundled with scikit-learn.

    Parameters
    ----------
    name
        Its name, as in ``sklearn.datasets.load_{name}``.

    Returns
    -------
    Features (m, features) float64 and classes (m,); and the names of the classes, in order.
    """
    from sklearn import datasets as bundled

    found = getattr(bundled, f"load_{name}")()
    return (found.data.astype(np.float64), found.target), [str(label) for label in found.target_names]


def table_from_file(table: TableFile) -> tuple[Examples, Examples | None, list[str]]:
    """Read a csv table, and that of the test set if there is one.

    Targets are classes, numbered in the order of `in_order`, or numbers scaled to [0, 1]. A class may be
    called NA or null; only an empty target is missing.

    Parameters
    ----------
    table
        The files, the target column, and the task.

    Returns
    -------
    The examples; those of the test set, None if there is no test file; and the names of the classes, in
    order, empty for regression.

    Raises
    ------
    InputError
        If a file is missing or is not a csv table, if the target column is missing or empty, a feature is not
        numeric or not finite, a class has a single example, a number is out of range or all rows are equal,
        or if the test set has other columns or classes.
    """
    features, column = _read(table, table.file)
    _warn_of_counts(features, table.file)
    inputs = features.to_numpy(np.float64)
    require_different(inputs, table.file, "rows of features")
    held_out = None if table.test is None else _read(table, table.test)
    if held_out is not None:
        found, expected = set(held_out[0].columns), set(features.columns)
        if found != expected:
            raise InputError(
                f"{table.test}: its columns are not those of {table.file}: "
                f"missing {', '.join(map(str, expected - found)) or 'none'}, "
                f"further ones {', '.join(map(str, found - expected)) or 'none'}"
            )
        held_out = held_out[0][list(features.columns)], held_out[1]
    if table.regression:
        examples = inputs, scaled(column, table.regression, str(table.file))
        if held_out is None:
            return examples, None, []
        tested = scaled(held_out[1], table.regression, str(table.test))
        return examples, (held_out[0].to_numpy(np.float64), tested), []
    names = column.tolist()
    classes = in_order(names)
    if len(classes) < 2:
        raise InputError(f"{table.file}: the target {table.target!r} has one class, {classes[0]!r}")
    require_two_of_each(names, table.file, "data row {}".format)
    numbers, known = {name: i for i, name in enumerate(classes)}, [str(name) for name in classes]
    examples = inputs, np.array([numbers[name] for name in names])
    if held_out is None:
        return examples, None, known
    test_names = held_out[1].tolist()
    if foreign := in_order(set(test_names) - numbers.keys()):
        raise InputError(
            f"{table.test}: classes {listed([str(name) for name in foreign])} do not occur in {table.file}, "
            f"which has {listed(known)}"
        )
    tested = np.array([numbers[name] for name in test_names])
    return examples, (held_out[0].to_numpy(np.float64), tested), known


def _read(table: TableFile, file: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Return the features, all finite numbers, and the target column, without empty cells."""
    import pandas as pd

    if file.suffix != ".csv":
        raise InputError(f"{file}: expected a .csv file")
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    # Not in chunks: pandas might read the same class as a number in one chunk and as text in another.
    read: Any = partial(pd.read_csv, file, low_memory=False, encoding=table.encoding, sep=table.separator)
    try:
        frame = named = read()
        if table.target in frame.columns and frame[table.target].isna().any():
            named = read(keep_default_na=False, na_values=[""])
    except UnicodeError as error:
        raise InputError(
            f"{file}: its characters are not encoded in {table.encoding} ({error}); state the `encoding`, "
            "such as latin-1 or cp1252, or save it in UTF-8"
        ) from error
    except ValueError as error:
        raise InputError(f"{file}: not a readable csv table ({error})") from error
    if table.target not in frame.columns:
        raise InputError(
            f"{file}: no target column {table.target!r}; its columns are {', '.join(map(str, frame.columns))}"
        )
    column = named[table.target]
    if column.isna().any():
        row = int(column.isna().to_numpy().argmax())
        raise InputError(f"{file}: the target {table.target!r} is empty in data row {row}")
    features = frame.drop(columns=table.target)
    textual = [str(c) for c in features.columns if not pd.api.types.is_numeric_dtype(features[c])]
    if textual:
        raise InputError(
            f"{file}: features must be numeric, these columns are not: {', '.join(textual)}; "
            "encode or drop them"
        )
    inputs = features.to_numpy(np.float64)
    if not np.isfinite(inputs).all():
        row, at = np.argwhere(~np.isfinite(inputs))[0]
        raise InputError(
            f"{file}: {features.columns[at]!r} is {inputs[row, at]} in data row {row}; "
            "every feature must be finite"
        )
    return features, column


def _warn_of_counts(features: pd.DataFrame, file: Path) -> None:
    for name in features.columns:
        if len(features) > 2 and (np.diff(features[name].to_numpy(np.float64)) == 1).all():
            logger.warning(
                "%s: column %r only numbers the rows, but is used as a feature; if rows are sorted by class, "
                "it reveals the class; drop it from the file",
                file,
                str(name),
            )


def scaled(targets: pd.Series, regression: RegressionTarget, where: str) -> np.ndarray:
    """Scale the targets of a regression to [0, 1].

    Parameters
    ----------
    targets
        The numbers, in their own unit, (m,).
    regression
        Lower and upper end of their range.
    where
        The file, for messages.

    Returns
    -------
    The scaled targets, (m,) float32.

    Raises
    ------
    InputError
        If a target is not a number, or is out of range.
    """
    import pandas as pd

    numbers = pd.to_numeric(targets, errors="coerce").to_numpy(np.float64)
    inside = (numbers >= regression.low) & (numbers <= regression.high)
    if not inside.all():
        row = int(np.argmin(inside))
        raise InputError(
            f"{where}: {targets.name!r} is {targets.tolist()[row]!r} in data row {row}, expected a number "
            f"from {regression.low:g} to {regression.high:g}; correct it, or `regression`"
        )
    return ((numbers - regression.low) / (regression.high - regression.low)).astype(np.float32)
