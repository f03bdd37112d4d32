"""Dividing examples into training, validation and test, and standardising them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.dataset import Shape, SplitsConfig, TaskName
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_arrays, save_arrays

PARTS = ("train", "validation", "test")
CONSTANT = 1e-9  # a feature whose spread is smaller, relative to its mean, only varies by rounding


@dataclass(frozen=True)
class Split:
    """Examples.

    Attributes
    ----------
    inputs
        (m, features) float32.
    targets
        (m,): classes, int64, or numbers from 0 to 1, float32.
    task
        What networks are trained to do.
    tolerance
        How far from its target a predicted number may be to count as right; 0 where targets are classes.
    """

    inputs: np.ndarray
    targets: np.ndarray
    task: TaskName = "classification"
    tolerance: float = 0.0

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def load(cls, path: Path, part: str) -> "Split":
        """Read one part of what `Dataset.save` wrote: train, validation or test.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        arrays = load_arrays(path, [f"{part}_inputs", f"{part}_targets", "task", "tolerance"])
        task, tolerance = arrays["task"].item(), arrays["tolerance"].item()
        return cls(arrays[f"{part}_inputs"], arrays[f"{part}_targets"], task, tolerance)

    def first(self, count: int) -> "Split":
        """Return the first examples."""
        return replace(self, inputs=self.inputs[:count], targets=self.targets[:count])


@dataclass(frozen=True)
class Dataset:
    """Training, validation and test examples, standardised with the training set's ``mean`` and ``std``,
    each (features,) or a scalar; ``shape`` is that of an image (channels, height, width), None for others."""

    train: Split
    validation: Split
    test: Split
    mean: np.ndarray = field(default_factory=lambda: np.zeros(()))
    std: np.ndarray = field(default_factory=lambda: np.ones(()))
    shape: Shape | None = None

    def standardise(self, inputs: np.ndarray) -> np.ndarray:
        """Return other inputs (m, features) on the scale of these, float32."""
        return standardise(inputs, self.mean, self.std)

    def save(self, path: Path) -> None:
        """Write as npz, atomically."""
        arrays: dict[str, Any] = {"mean": self.mean, "std": self.std, "shape": self.shape or ()}
        arrays |= {"task": self.train.task, "tolerance": self.train.tolerance}
        for name in PARTS:
            split: Split = getattr(self, name)
            arrays |= {f"{name}_inputs": split.inputs, f"{name}_targets": split.targets}
        save_arrays(path, arrays)

    @classmethod
    def load(cls, path: Path) -> "Dataset":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        train, validation, test = (Split.load(path, part) for part in PARTS)
        arrays = load_arrays(path, ["mean", "std", "shape"])
        shape = tuple(arrays["shape"].astype(int).tolist()) or None
        return cls(train, validation, test, arrays["mean"], arrays["std"], shape)

    def with_splits(self, change: Callable[[Split], Split]) -> "Dataset":
        """Return the data with every split changed."""
        return replace(
            self, train=change(self.train), validation=change(self.validation), test=change(self.test)
        )

    @property
    def n_features(self) -> int:
        return self.train.inputs.shape[1]

    @property
    def n_classes(self) -> int:
        """The outputs that a network needs: one for each class, one for a number."""
        if self.train.task == "regression":
            return 1
        return 1 + int(max(split.targets.max() for split in (self.train, self.validation, self.test)))

    def check_fits(self, architecture: ArchitectureConfig) -> None:
        """Raise `InputError` unless networks of an architecture fit the data."""
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
    tokens: bool = False,
) -> Dataset:
    """Divide examples by seed, classes in proportion; a test set given is kept as the test set.

    Parameters
    ----------
    inputs, targets
        (m, features) and (m,), classes, or numbers from 0 to 1.
    test
        Inputs and targets of the data set's own test set, if it has one.
    shape
        Of images: these are standardised by one mean and one standard deviation a channel instead of feature
        by feature.
    task, tolerance
        As of `Split`.
    tokens
        Whether inputs are tokens' numbers, which stay as they are.
    """
    kind = np.float32 if task == "regression" else np.int64
    targets = targets.astype(kind)
    if test is None:
        inputs, test_inputs, targets, test_targets = _split(inputs, targets, splits.test, splits.seed, "test")
    else:
        test_inputs, test_targets = test
    inputs, validation_inputs, targets, validation_targets = _split(
        inputs, targets, splits.validation, splits.seed + 1, "validation"
    )
    mean, std = (np.zeros(()), np.ones(())) if tokens else _statistics(inputs, shape)

    def standardised(x: np.ndarray, y: np.ndarray) -> Split:
        return Split(standardise(x, mean, std), y.astype(kind), task, tolerance)

    return Dataset(
        standardised(inputs, targets),
        standardised(validation_inputs, validation_targets),
        standardised(test_inputs, test_targets),
        mean,
        std,
        shape,
    )


def _statistics(inputs: np.ndarray, shape: Shape | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of inputs (m, features), each (features,): of every feature, or of
    every channel of images, repeated for its pixels."""
    channels = inputs.shape[1] if shape is None else shape[0]
    parts = inputs.reshape(len(inputs), channels, -1)
    mean, std = parts.mean(axis=(0, 2), dtype=np.float64), parts.std(axis=(0, 2), dtype=np.float64)
    std = np.where(std > CONSTANT * np.abs(mean), std, 1.0)
    pixels = parts.shape[2]
    return mean.repeat(pixels).astype(inputs.dtype), std.repeat(pixels).astype(inputs.dtype)


def standardise(inputs: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return inputs (m, features) minus ``mean``, in units of ``std``, float32."""
    return ((inputs - mean) / std).astype(np.float32)


def _split(
    inputs: np.ndarray, targets: np.ndarray, share: float, seed: int, part: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    # Imported here: reading a data set that is divided needs none of it.
    from sklearn.model_selection import train_test_split

    classes = targets if targets.dtype.kind == "i" else None
    try:
        kept, out, kept_targets, out_targets = train_test_split(
            inputs, targets, test_size=share, random_state=seed, stratify=classes
        )
    except ValueError as error:
        raise InputError(
            f"splits.{part}: a share of {share} of {len(targets)} examples with "
            f"{len(np.unique(targets))} different targets cannot be taken, classes in proportion ({error}); "
            "raise it or use more examples"
        ) from error
    return kept, out, kept_targets, out_targets
