"""Tables: those that ship with scikit-learn, and files of one's own.

scikit-learn and pandas are imported by the functions that need them: together they take seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dwf_steps.config.dataset import RegressionTarget, TableFile
from dwf_steps.datasets.classes import in_order, require_different, require_two_of_each
from dwf_steps.runtime.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def bundled_table(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return features (m, features) and classes (m,) of a data set inside scikit-learn."""
    from sklearn import datasets as bundled

    inputs, targets = getattr(bundled, f"load_{name}")(return_X_y=True)
    return inputs.astype(np.float64), targets


def table_from_file(table: TableFile) -> tuple[np.ndarray, np.ndarray]:
    """Read a csv table; return features (m, features) and targets (m,): classes, numbered in their order, or
    numbers from 0 to 1. A class may be called NA or null; only an empty target is missing.

    Raises
    ------
    InputError
        If the file is missing or of another kind, the target column is missing, a feature is not numeric or
        not finite, a class has a single example, a number is out of its range, or all rows are the same.
    """
    import pandas as pd

    if table.file.suffix != ".csv":
        raise InputError(f"{table.file}: expected a .csv file")
    if not table.file.is_file():
        raise InputError(f"{table.file}: no such file")
    # Not in chunks, which would take the same class for a number in one and for a name in another.
    try:
        frame = named = pd.read_csv(table.file, low_memory=False)
        if table.target in frame.columns and frame[table.target].isna().any():
            named = pd.read_csv(table.file, low_memory=False, keep_default_na=False, na_values=[""])
    except ValueError as error:
        raise InputError(f"{table.file}: not a readable csv table ({error})") from error
    if table.target not in frame.columns:
        raise InputError(
            f"{table.file}: no target column {table.target!r}; its columns are "
            f"{', '.join(map(str, frame.columns))}"
        )
    column = named[table.target]
    if column.isna().any():
        row = int(column.isna().to_numpy().argmax())
        raise InputError(f"{table.file}: the target {table.target!r} is empty in data row {row}")
    features = frame.drop(columns=table.target)
    textual = [str(c) for c in features.columns if not pd.api.types.is_numeric_dtype(features[c])]
    if textual:
        raise InputError(
            f"{table.file}: features must be numeric, these columns are not: {', '.join(textual)}; "
            "encode or drop them"
        )
    inputs = features.to_numpy(np.float64)
    if not np.isfinite(inputs).all():
        row, column = np.argwhere(~np.isfinite(inputs))[0]
        raise InputError(
            f"{table.file}: {features.columns[column]!r} is {inputs[row, column]} in data row {row}; "
            "every feature must be finite"
        )
    require_different(inputs, table.file, "rows of features")
    if table.regression:
        return inputs, scaled(column, table.regression, str(table.file))
    names = column.tolist()
    classes = in_order(names)
    if len(classes) < 2:
        raise InputError(f"{table.file}: the target {table.target!r} has one class, {classes[0]!r}")
    require_two_of_each(names, table.file, "data row {}".format)
    numbers = {name: i for i, name in enumerate(classes)}
    return inputs, np.array([numbers[name] for name in names])


def scaled(targets: pd.Series, regression: RegressionTarget, where: str) -> np.ndarray:
    """Return numbers on the scale from 0 to 1, (m,) float32.

    Raises
    ------
    InputError
        If one is no number, or out of range.
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
