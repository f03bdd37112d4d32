"""Splitting examples into training, validation and test sets, and standardising them."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.dataset import Shape, SplitsConfig, TaskName
from dwf_steps.datasets.classes import require_two_of_each
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.arrays import load_arrays, save_arrays

PARTS = ("train", "validation", "test")
# With at most so many examples per class, two stratified splits with shares below one half are not possible:
# if one of three is a test example, a validation example is half of the remaining two.
MOST_OF_FEW = 3
CONSTANT = 1e-9  # relative to the mean; smaller standard deviations of a feature are rounding errors

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """Examples of one split.

    Attributes
    ----------
    inputs
        (m, features) float32.
    targets
        (m,): classes, int64, or numbers from 0 to 1, float32.
    task
        The task of the networks.
    tolerance
        Regression: largest error of a prediction that counts as correct, on the scale from 0 to 1. Else 0.
    scale
        Regression: the range of the target, in its own unit, that corresponds to the scale from 0 to 1. Else
        1.
    data_sets
        In the data of a joint zoo: the zoo whose data each example is from, (m,) str. Else None.
    """

    inputs: np.ndarray
    targets: np.ndarray
    task: TaskName = "classification"
    tolerance: float = 0.0
    scale: float = 1.0
    data_sets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def load(cls, path: Path, part: str) -> "Split":
        """Read one split of a file written by `Dataset.save`.

        Parameters
        ----------
        path
            The file.
        part
            ``train``, ``validation`` or ``test``.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        inputs, targets, data_sets = (f"{part}_{name}" for name in ("inputs", "targets", "data_sets"))
        names = [inputs, targets, "task", "tolerance", "scale"]
        arrays = load_arrays(path, names, optional=[data_sets])
        task, tolerance, scale = (arrays[name].item() for name in ("task", "tolerance", "scale"))
        return cls(arrays[inputs], arrays[targets], task, tolerance, scale, arrays.get(data_sets))

    def take(self, rows: np.ndarray | slice) -> "Split":
        """Return some of the examples, in the order of their indices ``rows``."""
        data_sets = None if self.data_sets is None else self.data_sets[rows]
        return replace(self, inputs=self.inputs[rows], targets=self.targets[rows], data_sets=data_sets)

    def first(self, count: int) -> "Split":
        """Return the first ``count`` examples."""
        return self.take(slice(count))


@dataclass(frozen=True)
class Dataset:
    """Training, validation and test examples, standardised with the training set's statistics.

    Attributes
    ----------
    train, validation, test
        The splits.
    mean, std
        The statistics, (features,) or scalars.
    shape
        Channels, height and width of an image; None if inputs are not images.
    classes
        Names of the classes, in order; empty if there are none.
    """

    train: Split
    validation: Split
    test: Split
    mean: np.ndarray = field(default_factory=lambda: np.zeros(()))
    std: np.ndarray = field(default_factory=lambda: np.ones(()))
    shape: Shape | None = None
    classes: tuple[str, ...] = ()

    def standardise(self, inputs: np.ndarray) -> np.ndarray:
        """Standardise other inputs (m, features) with the same statistics, float32."""
        return standardise(inputs, self.mean, self.std)

    def save(self, path: Path) -> None:
        """Write the data set as npz, atomically."""
        arrays: dict[str, Any] = {"mean": self.mean, "std": self.std, "shape": self.shape or ()}
        arrays["classes"] = np.array(self.classes, dtype=str)
        arrays |= {name: getattr(self.train, name) for name in ("task", "tolerance", "scale")}
        for name in PARTS:
            split: Split = getattr(self, name)
            arrays |= {f"{name}_inputs": split.inputs, f"{name}_targets": split.targets}
            if split.data_sets is not None:
                arrays[f"{name}_data_sets"] = split.data_sets
        save_arrays(path, arrays)

    @classmethod
    def load(cls, path: Path) -> "Dataset":
        """Read a file written by `save`.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        train, validation, test = (Split.load(path, part) for part in PARTS)
        arrays = load_arrays(path, ["mean", "std", "shape", "classes"])
        shape = tuple(arrays["shape"].astype(int).tolist()) or None
        classes = tuple(arrays["classes"].tolist())
        return cls(train, validation, test, arrays["mean"], arrays["std"], shape, classes)

    def with_splits(self, change: Callable[[Split], Split]) -> "Dataset":
        """Return the data set with a function applied to every split."""
        return replace(
            self, train=change(self.train), validation=change(self.validation), test=change(self.test)
        )

    @property
    def n_features(self) -> int:
        return self.train.inputs.shape[1]

    @property
    def n_classes(self) -> int:
        """Number of outputs that a network needs: the number of classes, or 1 for regression."""
        if self.train.task == "regression":
            return 1
        return 1 + int(max(split.targets.max() for split in (self.train, self.validation, self.test)))

    def check_fits(self, architecture: ArchitectureConfig) -> None:
        """Check that networks of an architecture fit the data.

        Raises
        ------
        InputError
            If inputs, outputs or vocabulary do not match.
        """
        needed, numbers = self.n_classes, self.train.task == "regression"
        enough = architecture.classes == 1 if numbers else architecture.classes >= max(2, needed)
        if architecture.features != self.n_features or not enough:
            what = "numbers to predict, by one output" if numbers else f"{needed} classes"
            raise InputError(
                f"architecture.{architecture.needed}, but the data have {self.n_features} features and {what}"
            )
        if architecture.vocabulary_size is not None:
            largest = int(max(getattr(self, part).inputs.max() for part in PARTS))
            if largest >= architecture.vocabulary_size:
                raise InputError(
                    f"architecture.vocabulary: found {architecture.vocabulary_size}, but the data have token "
                    f"{largest}; expected at least {largest + 1}, the tokenizer's size"
                )


def divide(
    inputs: np.ndarray,
    targets: np.ndarray,
    splits: SplitsConfig,
    test: tuple[np.ndarray, np.ndarray] | None = None,
    shape: Shape | None = None,
    task: TaskName = "classification",
    tolerance: float = 0.0,
    scale: float = 1.0,
    tokens: bool = False,
    classes: Sequence[str] = (),
) -> Dataset:
    """Split examples by seed, stratified by class, and standardise them.

    If classes have too few examples to be stratified, they are split as proportionally as possible, with a
    warning; every class keeps at least one training example.

    Parameters
    ----------
    inputs
        (m, features).
    targets
        (m,): classes, or numbers from 0 to 1.
    splits
        Shares and seed.
    test
        Inputs and targets of a given test set; None to split one off.
    shape
        Channels, height and width of images, which are standardised by channel; None to standardise by
        feature.
    task, tolerance, scale
        As in `Split`.
    tokens
        Whether inputs are token indices, which are not standardised.
    classes
        The names of classes, if they have any.

    Returns
    -------
    The data set.

    Raises
    ------
    InputError
        If a share is too small for every class to occur in each split, or if a class has a single example.
    """
    kind = np.float32 if task == "regression" else np.int64
    targets = targets.astype(kind)
    few = False
    if task == "classification":
        require_two_of_each(targets.tolist(), "data", "example {}".format)
        few = len(targets) / len(np.unique(targets)) <= (MOST_OF_FEW if test is None else MOST_OF_FEW - 1)
    if test is None:
        inputs, test_inputs, targets, test_targets = _split(
            inputs, targets, splits.test, splits.seed, "test", few
        )
    else:
        test_inputs, test_targets = test
    inputs, validation_inputs, targets, validation_targets = _split(
        inputs, targets, splits.validation, splits.seed + 1, "validation", few
    )
    mean, std = (np.zeros(()), np.ones(())) if tokens else _statistics(inputs, shape)

    def standardised(x: np.ndarray, y: np.ndarray) -> Split:
        return Split(standardise(x, mean, std), y.astype(kind), task, tolerance, scale)

    return Dataset(
        standardised(inputs, targets),
        standardised(validation_inputs, validation_targets),
        standardised(test_inputs, test_targets),
        mean,
        std,
        shape,
        tuple(classes),
    )


def _statistics(inputs: np.ndarray, shape: Shape | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of inputs (m, features), each (features,).

    Those of images are computed by channel and repeated for its pixels.
    """
    channels = inputs.shape[1] if shape is None else shape[0]
    parts = inputs.reshape(len(inputs), channels, -1)
    mean, std = parts.mean(axis=(0, 2), dtype=np.float64), parts.std(axis=(0, 2), dtype=np.float64)
    std = np.where(std > CONSTANT * np.abs(mean), std, 1.0)
    pixels = parts.shape[2]
    return mean.repeat(pixels).astype(inputs.dtype), std.repeat(pixels).astype(inputs.dtype)


def standardise(inputs: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Subtract a mean and divide by a standard deviation.

    Parameters
    ----------
    inputs
        (m, features).
    mean, std
        (features,) or scalars.

    Returns
    -------
    (m, features) float32.
    """
    return ((inputs - mean) / std).astype(np.float32)


def _split(
    inputs: np.ndarray, targets: np.ndarray, share: float, seed: int, part: str, few: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Split off a share of the examples.

    Parameters
    ----------
    inputs
        (m, features).
    targets
        (m,), stratified if they are integers.
    share
        The share to split off.
    seed
        Seed of the split.
    part
        Name of the split, for messages.
    few
        Whether classes have too few examples for any stratified split.

    Returns
    -------
    Inputs kept and split off, and targets kept and split off.
    """
    # Imported here because reading a data set that is already split does not need it.
    from sklearn.model_selection import train_test_split

    classes = targets if targets.dtype.kind == "i" else None
    try:
        kept, out, kept_targets, out_targets = train_test_split(
            inputs, targets, test_size=share, random_state=seed, stratify=classes
        )
    except ValueError as error:
        if classes is None:
            raise InputError(
                f"splits.{part}: a share of {share} of {len(targets)} examples cannot be taken ({error}); "
                "raise it or use more examples"
            ) from error
        counts = np.unique(classes, return_counts=True)[1]
        needed = math.ceil(1000 * len(counts) / len(targets)) / 1000
        if not few and counts.min() > 1 and needed < 0.5:
            raise InputError(
                f"splits.{part}: a share of {share} of {len(targets)} examples has no example of each of "
                f"{len(counts)} classes; raise it to {needed} at least, or use more examples"
            ) from error
        rest, taken = take_share(classes, share, seed, part)
        kept, out, kept_targets, out_targets = inputs[rest], inputs[taken], targets[rest], targets[taken]
    return kept, out, kept_targets, out_targets


def take_share(classes: np.ndarray, share: float, seed: int, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Split off a share of the examples, as proportionally to the classes as possible.

    Each class contributes its share, rounded down, then one more from the classes with the largest remainders
    (Hamilton's method), ties broken at random, until the share is reached; the last example of a class is
    always kept.

    Parameters
    ----------
    classes
        The class of each example, (m,).
    share
        The share to split off.
    seed
        Seed of the draws.
    part
        Name of the split, for messages.

    Returns
    -------
    Indices of the examples kept and of those split off, both shuffled.

    Raises
    ------
    InputError
        If no class has two examples.
    """
    draws = numpy_generator("few examples of a class", seed)
    _, numbers, counts = np.unique(classes, return_inverse=True, return_counts=True)
    wanted, m = math.ceil(share * len(classes)), len(classes)
    quotas = wanted * counts / m
    taken = np.minimum(quotas.astype(int), counts - 1)
    lots = draws.random(len(counts))
    while (missing := wanted - taken.sum()) > 0 and (taken < counts - 1).any():
        order = np.lexsort((lots, taken - quotas))
        taken[order[(taken < counts - 1)[order]][:missing]] += 1
    if not taken.any():
        raise InputError(
            f"splits.{part}: each of {len(counts)} classes has one example left, which is kept for training; "
            "lower splits.test or use more examples"
        )
    logger.warning(
        "splits.%s: classes have too few examples (%.3g on average) for a stratified split; it has %d "
        "of the %d requested examples, from %d of %d classes",
        part,
        m / len(counts),
        taken.sum(),
        wanted,
        (taken > 0).sum(),
        len(counts),
    )
    shuffled = draws.permutation(m)
    by_class = shuffled[np.argsort(numbers[shuffled], kind="stable")]
    places = np.arange(m) - np.repeat(np.cumsum(counts) - counts, counts)
    out = places < np.repeat(taken, counts)
    return draws.permutation(by_class[~out]), draws.permutation(by_class[out])
