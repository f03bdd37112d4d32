"""Data sets made from others: images scaled or turned, classes renamed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from dwf_steps.datasets.shifted import turned
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.runtime.errors import InputError


def scaled(dataset: Dataset, size: int) -> Dataset:
    """Return images of another height and width, bilinear, without aliasing.

    Raises
    ------
    InputError
        If the data are no images.
    """
    if dataset.shape is None:
        raise InputError("size: the data are no images; leave it out")
    shape = dataset.shape

    def smaller(split: Split) -> Split:
        images = torch.from_numpy(split.inputs).view(-1, *shape)
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
        return replace(split, inputs=images.flatten(1).numpy())

    return replace(dataset.with_splits(smaller), shape=(shape[0], size, size))


def rotated(dataset: Dataset) -> Dataset:
    """Return images turned by a quarter.

    Raises
    ------
    InputError
        If the data are no square images.
    """
    shape = dataset.shape
    if shape is None or shape[1] != shape[2]:
        raise InputError(f"change: 'rotated' needs square images, found {shape or 'no images'}; leave it out")
    return dataset.with_splits(lambda split: replace(split, inputs=turned(split.inputs, shape)))


def renamed(dataset: Dataset, classes: Sequence[int | None]) -> Dataset:
    """Return the data with each class called by the output that stands for it; examples of classes that have
    none are left out.

    Parameters
    ----------
    dataset
        The data as they are.
    classes
        By class, the output that stands for it. An output that stands for several has all of their names,
        one that stands for none an empty name.

    Returns
    -------
    The data with other targets, and names of classes.

    Raises
    ------
    InputError
        If the classes named are not as many as the data have.
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
