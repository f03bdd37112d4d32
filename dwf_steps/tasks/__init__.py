"""Tasks, classification and regression: losses, predictions and scores."""

from dwf_steps.config.dataset import TaskName
from dwf_steps.tasks.base import Task
from dwf_steps.tasks.classification import Classification
from dwf_steps.tasks.regression import Regression


def task_of(name: TaskName, tolerance: float, scale: float) -> Task:
    """Build the task with a given name.

    Parameters
    ----------
    name
        ``classification`` or ``regression``.
    tolerance
        Regression only: largest error of a prediction that counts as correct, on the scale from 0 to 1.
    scale
        Regression only: the range of the target, in its own unit, that corresponds to the scale from 0 to 1.

    Returns
    -------
    The task.

    Raises
    ------
    ValueError
        If there is no such task.
    """
    match name:
        case "classification":
            return Classification()
        case "regression":
            return Regression(tolerance, scale)
    raise ValueError(f"found the task {name!r}; expected 'classification' or 'regression'")
