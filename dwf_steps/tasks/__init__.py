"""What networks are asked, to classify or to predict a number, and how good their answers are."""

from dwf_steps.config.dataset import TaskName
from dwf_steps.tasks.base import Task
from dwf_steps.tasks.classification import Classification
from dwf_steps.tasks.regression import Regression


def task_of(name: TaskName, tolerance: float, scale: float) -> Task:
    """Return the task of this name.

    Parameters
    ----------
    tolerance, scale
        How far from its target a predicted number may be to count as right, and how many of the target's own
        units the scale from 0 to 1 spans; only regression has them.

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
