"""Data sets and their splits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from dwf_steps.config.section import Section


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a built-in data set before it is loaded."""

    features: int
    classes: int
    examples: int
    files: tuple[str, ...] = ()
    """Where torchvision keeps it, below its root; empty for what ships with a dependency."""


IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
BUILT_IN = {
    "iris": DatasetFacts(4, 3, 150),
    "wine": DatasetFacts(13, 3, 178),
    "breast_cancer": DatasetFacts(30, 2, 569),
    "digits": DatasetFacts(64, 10, 1797),
    "mnist": DatasetFacts(784, 10, 60_000, tuple(f"MNIST/raw/{f}" for f in IDX_FILES)),
    "fashion_mnist": DatasetFacts(784, 10, 60_000, tuple(f"FashionMNIST/raw/{f}" for f in IDX_FILES)),
}

BuiltInName = Literal["iris", "wine", "breast_cancer", "digits", "mnist", "fashion_mnist"]


class TableFile(Section):
    """A table of one's own: one example a row."""

    file: Path
    """A `.csv` file with a header."""
    target: str
    """The column with the class; every other column is a numeric feature."""


DatasetConfig = BuiltInName | TableFile


class SplitsConfig(Section):
    """How examples are divided. Validation chooses, test is only ever scored."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the examples that are not test examples which becomes the validation set."""
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """Share of all examples held back for the test; unused where the data set brings its own test set."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the division; classes keep their proportions."""


FETCHED = [name for name, facts in BUILT_IN.items() if facts.files]


def missing_files(name: str, folder: Path) -> list[Path]:
    """Return the files of a built-in data set that ``folder`` lacks."""
    return [folder / file for file in BUILT_IN[name].files if not (folder / file).is_file()]


Shift = Literal["rotated", "shuffled", "mnist", "fashion_mnist"]
