"""Out-of-distribution inputs, to test whether networks detect them."""

from pathlib import Path

import numpy as np

from dwf_steps.config.dataset import Shape, Shift
from dwf_steps.datasets.splits import Dataset
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import numpy_generator


def shifted_inputs(shift: Shift | None, dataset: Dataset, data_dir: Path | None) -> np.ndarray:
    """Derive out-of-distribution inputs for networks trained on a data set.

    Parameters
    ----------
    shift
        ``rotated`` for the test images rotated by 90 degrees; ``shuffled`` for test inputs whose features are
        permuted, independently for each item; or the name of a data set, for its test images, standardised
        with the statistics of ``dataset``. None for no inputs.
    dataset
        The networks' data set.
    data_dir
        Folder of the other data set.

    Returns
    -------
    The inputs, (m, features) float32.

    Raises
    ------
    InputError
        If square images are needed and the inputs are not, or if the other data set cannot be loaded.
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
    """Rotate square images by 90 degrees.

    Parameters
    ----------
    inputs
        Images, (m, features).
    shape
        Channels, height and width.

    Returns
    -------
    The rotated images, (m, features).
    """
    return np.rot90(inputs.reshape(-1, *shape), axes=(2, 3)).reshape(inputs.shape)
