"""What networks are asked, to classify or to predict a number, and how good their answers are."""

from dwf_steps.config.dataset import TaskName
from dwf_steps.tasks.base import Task
from dwf_steps.tasks.classification import Classification
from dwf_steps.tasks.regression import Regression


def task_of(name: TaskName, tolerance: float) -> Task:
    """Return the task of this name.

    Parameters
    ----------
    tolerance
        How far from its target a predicted number may be to count as right; only regression has one.

    Raises
    ------
    ValueError
        If there is no such task.
    """
    match name:
        case "classification":
            return Classification()
        case "regression":
            return Regression(tolerance)
    raise ValueError(f"found the task {name!r}; expected 'classification' or 'regression'")
