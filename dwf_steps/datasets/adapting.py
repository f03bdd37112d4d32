"""Data sets derived from others: images resized or rotated, classes renumbered."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from dwf_steps.datasets.shifted import turned
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.runtime.errors import InputError


def scaled(dataset: Dataset, size: int) -> Dataset:
    """Resize images, with antialiased bilinear interpolation.

    Parameters
    ----------
    dataset
        A data set of images.
    size
        New height and width, in pixels.

    Returns
    -------
    The resized data set.

    Raises
    ------
    InputError
        If the data are not images.
    """
    if dataset.shape is None:
        raise InputError("size: the data are not images; leave it out")
    shape = dataset.shape

    def smaller(split: Split) -> Split:
        images = torch.from_numpy(split.inputs).view(-1, *shape)
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
        return replace(split, inputs=images.flatten(1).numpy())

    return replace(dataset.with_splits(smaller), shape=(shape[0], size, size))


def rotated(dataset: Dataset) -> Dataset:
    """Rotate images by 90 degrees.

    Parameters
    ----------
    dataset
        A data set of square images.

    Returns
    -------
    The rotated data set.

    Raises
    ------
    InputError
        If the data are not square images.
    """
    shape = dataset.shape
    if shape is None or shape[1] != shape[2]:
        raise InputError(f"change: 'rotated' needs square images, found {shape or 'no images'}; leave it out")
    return dataset.with_splits(lambda split: replace(split, inputs=turned(split.inputs, shape)))


def renamed(dataset: Dataset, classes: Sequence[int | None]) -> Dataset:
    """Renumber classes, and drop the examples of classes without a new number.

    Parameters
    ----------
    dataset
        The data set.
    classes
        The output that represents each class; None drops it.

    Returns
    -------
    The renumbered data set. An output that represents several classes is named after all of them; one that
    represents none has an empty name.

    Raises
    ------
    InputError
        If the number of classes differs from that of the data.
    """
    if len(classes) != dataset.n_classes:
        raise InputError(
            f"classes: found {len(classes)}, but the data have {dataset.n_classes} classes; name an output "
            "for each, or null"
        )
    outputs = np.array([-1 if output is None else output for output in classes])

    def of(split: Split) -> Split:
        targets = outputs[split.targets]
        return replace(split, inputs=split.inputs[targets >= 0], targets=targets[targets >= 0])

    named = list(zip(dataset.classes, classes, strict=False))
    wanted = range(outputs.max() + 1) if named else []
    names = (", ".join(name for name, output in named if output == place) for place in wanted)
    return replace(dataset.with_splits(of), classes=tuple(names))
