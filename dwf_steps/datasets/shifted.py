"""Inputs from outside the data's distribution, for detecting them."""

from pathlib import Path

import numpy as np

from dwf_steps.config.dataset import Shape, Shift
from dwf_steps.datasets.splits import Dataset
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import numpy_generator


def shifted_inputs(shift: Shift | None, dataset: Dataset, data_dir: Path | None) -> np.ndarray:
    """Return inputs (m', features) float32 that networks trained on ``dataset`` have not learned.

    ``rotated``: the test images turned by a quarter; ``shuffled``: the features of each test item in a random
    order of its own; a data set's name: its test images, standardised as the networks' own.

    Raises
    ------
    InputError
        If the inputs are no square images where these are needed, or the other data set does not fit.
    """
    test = dataset.test.inputs
    match shift:
        case None:
            return test[:0]
        case "shuffled":
            return numpy_generator("shuffled features", 0).permuted(test, axis=1)
        case "rotated":
            if dataset.shape is None or dataset.shape[1] != dataset.shape[2]:
                raise InputError(
                    f"out_of_distribution: 'rotated' needs square images, but inputs have {test.shape[1]} "
                    "features; use 'shuffled'"
                )
            return turned(test, dataset.shape)
        case name:
            from dwf_steps.datasets.images import torchvision_images

            if data_dir is None:
                raise InputError(f"{name}: its folder is missing; name where it was fetched into")
            return dataset.standardise(torchvision_images(name, data_dir, train=False).inputs)


def turned(inputs: np.ndarray, shape: Shape) -> np.ndarray:
    """Return images (m, features), which are square, turned by a quarter."""
    return np.rot90(inputs.reshape(-1, *shape), axes=(2, 3)).reshape(inputs.shape)
