"""Data sets and their splits."""

import codecs
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from dwf_steps.config.section import Name, Section

PADDING = 0
"""The token that fills short texts up, as in BERT; nothing attends to it."""

Shape = tuple[int, int, int]
"""Channels, height and width."""


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a data set before it is loaded: ``classes`` is None where only the data tell, and 1
    where the target is a number."""

    features: int
    classes: int | None
    examples: int
    shape: Shape | None = None
    """Of an image; None for others."""
    files: tuple[str, ...] = ()
    """Where torchvision keeps it, below its root; empty for what ships with a dependency."""


def _images(shape: Shape, classes: int, examples: int, folder: str, *files: str) -> DatasetFacts:
    channels, height, width = shape
    places = tuple(f"{folder}/{file}" for file in files)
    return DatasetFacts(channels * height * width, classes, examples, shape, places)


IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CIFAR10_FILES = (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta")
STL10_FILES = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "class_names.txt")
BUILT_IN = {
    "iris": DatasetFacts(4, 3, 150),
    "wine": DatasetFacts(13, 3, 178),
    "breast_cancer": DatasetFacts(30, 2, 569),
    "digits": DatasetFacts(64, 10, 1797, (1, 8, 8)),
    "mnist": _images((1, 28, 28), 10, 60_000, "MNIST/raw", *IDX_FILES),
    "fashion_mnist": _images((1, 28, 28), 10, 60_000, "FashionMNIST/raw", *IDX_FILES),
    "cifar10": _images((3, 32, 32), 10, 50_000, "cifar-10-batches-py", *CIFAR10_FILES),
    "cifar100": _images((3, 32, 32), 100, 50_000, "cifar-100-python", "train", "test", "meta"),
    "svhn": _images((3, 32, 32), 10, 73_257, ".", "train_32x32.mat", "test_32x32.mat"),
    "stl10": _images((3, 96, 96), 10, 5_000, "stl10_binary", *STL10_FILES),
}

BuiltInName = Literal[
    "iris",
    "wine",
    "breast_cancer",
    "digits",
    "mnist",
    "fashion_mnist",
    "cifar10",
    "cifar100",
    "svhn",
    "stl10",
]


class RegressionTarget(Section):
    """Targets that are numbers instead of classes. Networks predict them with one output, on a scale on which
    ``low`` is 0 and ``high`` is 1; trained with the squared error."""

    low: float = 0.0
    """The lowest target there can be."""
    high: float
    """The highest target there can be."""
    tolerance: Annotated[float, Field(gt=0)] = 0.5
    """How far from its target a prediction may be to count as right, in the targets' own units: 0.5 for stars
    given in whole numbers. Accuracy and the overlap of mistakes follow from it."""

    @model_validator(mode="after")
    def _ordered(self) -> "RegressionTarget":
        if not self.low < self.high:
            raise ValueError(f"low ({self.low}) must be less than high ({self.high})")
        return self


TaskName = Literal["classification", "regression"]


class Targets(Section):
    """What data files with classes or numbers share."""

    regression: RegressionTarget | None = None
    """Given where the target is a number to predict."""

    @property
    def task(self) -> TaskName:
        """What networks are trained to do."""
        return "regression" if self.regression else "classification"

    @property
    def tolerance(self) -> float:
        """How far from its target a prediction may be, on the scale from 0 to 1; 0 where targets are
        classes."""
        numbers = self.regression
        return numbers.tolerance / self.scale if numbers else 0.0

    @property
    def scale(self) -> float:
        """How many of the target's own units the scale from 0 to 1 spans; 1 where targets are classes."""
        return self.regression.high - self.regression.low if self.regression else 1.0


class TableFile(Targets):
    """A table of your own: one example a row."""

    file: Path
    """A `.csv` file with a header."""
    target: str
    """The column with the class or number; every other column is a numeric feature. Classes are numbered in
    order, numbers by value, then other names; one may be called `NA` or `null`."""
    test: Path | None = None
    """The same for the test set, with the same columns; without it a share of the rows is held back."""
    encoding: str = "utf-8"
    """How the files' characters are encoded, as Python calls it: `utf-8`, `latin-1`, `cp1252`, `utf-16`."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What stands between columns: `;`, `"\\t"`, ..."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(
                f"unknown encoding {encoding!r}; expected one such as utf-8 or latin-1"
            ) from None
        return encoding


class ImageFiles(Section):
    """Images of your own, each with a class. They are decoded once, into `results/data`."""

    train: Path
    """A folder with a folder of image files for each class, or a `.parquet` file with an image a row. Images
    have 8 or 16 bits a channel; files and folders whose names begin with a dot do not count."""
    test: Path | None = None
    """The same for the test set; without it a share of the training images is held back."""
    size: Annotated[int, Field(ge=1)]
    """Height and width; images of another size are scaled to it."""
    channels: Literal[1, 3] = 3
    """1 for grey images, 3 for colours. Transparency is dropped, except from images of a single colour, whose
    shape it is: these are put on white, or on black where the colour is light."""
    image: str = "img"
    """The parquet column with images: encoded bytes, or a struct with them in `bytes`."""
    label: str = "label"
    """The parquet column with classes; they are numbered in order, numbers by value, then other names."""
    unreadable: Literal["refuse", "skip"] = "refuse"
    """What becomes of files and rows that cannot be decoded: the first ends the run, or all are left out,
    counted and named in the log."""

    @model_validator(mode="after")
    def _two_columns(self) -> "ImageFiles":
        if self.image == self.label:
            raise ValueError(f"image and label name the same column, {self.label!r}; name two")
        return self

    @property
    def shape(self) -> Shape:
        """Channels, height and width."""
        return self.channels, self.size, self.size

    @property
    def facts(self) -> DatasetFacts:
        """What is known without decoding them; ``examples`` takes a look at the files."""
        return DatasetFacts(self.channels * self.size**2, None, self._count(), self.shape)

    def _count(self) -> int:
        if self.train.is_dir():
            files = (path.relative_to(self.train).parts for path in self.train.glob("*/*"))
            return sum(1 for parts in files if not any(part.startswith(".") for part in parts))
        # Imported here: only who has such files pays for it.
        from pyarrow.parquet import read_metadata

        return int(read_metadata(self.train).num_rows)


class TextFiles(Targets):
    """Texts of your own, each with a class or a number. They are cut into tokens once, into
    `results/data`."""

    train: Path
    """A `.csv` file with a header or a `.parquet` file, a text a row."""
    test: Path | None = None
    """The same for the test set; without it a share of the training texts is held back."""
    text: str = "text"
    """The column with texts."""
    label: str = "label"
    """The column with classes, which are numbered in order, numbers by value, then other names; or with
    numbers."""
    sample: Annotated[int, Field(ge=2)] | None = None
    """Rows of each file at most, drawn at random; all by default."""
    length: Annotated[int, Field(ge=3)] = 128
    """Tokens of a text, the first and the last included that mark its ends; longer ones are cut."""
    tokenizer: Path | None = None
    """A folder with a WordPiece tokenizer as transformers' `BertTokenizer` saves it, or with its `vocab.txt`
    alone; without it one is trained on the training texts, in lower case."""
    vocabulary: Annotated[int, Field(ge=100)] = 30_522
    """Different tokens at most of a tokenizer that is trained."""

    @model_validator(mode="after")
    def _two_columns(self) -> "TextFiles":
        if self.text == self.label:
            raise ValueError(f"text and label name the same column, {self.label!r}; name two")
        return self

    @property
    def facts(self) -> DatasetFacts:
        """What is known without cutting them; ``examples`` takes a look at the file."""
        return DatasetFacts(self.length, 1 if self.regression else None, self._count())

    def _count(self) -> int:
        if self.train.suffix == ".csv":  # a text takes some bytes; only the size of jobs follows from it
            count = self.train.stat().st_size // 100
        else:
            from pyarrow.parquet import read_metadata

            count = int(read_metadata(self.train).num_rows)
        return min(count, self.sample or count)


class DerivedData(Section):
    """Another data set, changed. It is divided and standardised first."""

    of: Name
    """The name of a built-in data set, or of images or texts under `datasets`."""
    size: Annotated[int, Field(ge=1)] | None = None
    """Height and width that images are scaled to."""
    change: Literal["rotated"] | None = None
    """`rotated`: images are turned by a quarter."""
    classes: Annotated[list[Annotated[int, Field(ge=0)] | None], Field(min_length=2)] | None = None
    """For each class, in order, the class that it becomes; `null` leaves its examples out."""

    @model_validator(mode="after")
    def _changed(self) -> "DerivedData":
        if self.size is None and self.change is None and self.classes is None:
            raise ValueError(
                "found nothing that is changed; set size, change or classes, or name the data set itself"
            )
        return self

    def facts(self, of: DatasetFacts) -> DatasetFacts:
        """Return what is known of the data, given what is known of the data set that they are derived
        from."""
        shape, classes = of.shape, of.classes
        if shape is not None and self.size is not None:
            shape = (shape[0], self.size, self.size)
        if self.classes is not None:
            classes = 1 + max((k for k in self.classes if k is not None), default=0)
        return replace(of, shape=shape, features=math.prod(shape or (of.features,)), classes=classes)


def _files_kind(value: Any) -> str:
    if isinstance(value, dict):
        if "of" in value:
            return "derived"
        return (
            "texts" if value.keys() & (TextFiles.model_fields.keys() - ImageFiles.model_fields) else "images"
        )
    if isinstance(value, DerivedData):
        return "derived"
    return "texts" if isinstance(value, TextFiles) else "images"


OwnFiles = Annotated[
    Annotated[ImageFiles, Tag("images")] | Annotated[TextFiles, Tag("texts")], Discriminator(_files_kind)
]
NamedData = Annotated[
    Annotated[ImageFiles, Tag("images")]
    | Annotated[TextFiles, Tag("texts")]
    | Annotated[DerivedData, Tag("derived")],
    Discriminator(_files_kind),
]
DatasetConfig = BuiltInName | TableFile | OwnFiles
"""What a step is told."""


class SplitsConfig(Section):
    """How examples are divided. Validation chooses, test is only ever scored."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the examples that are not test examples which becomes the validation set."""
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """Share of all examples held back for the test; unused where the data set brings its own test set."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the division; classes keep their proportions as far as they have enough examples."""


FETCHED = [name for name, facts in BUILT_IN.items() if facts.files]


def missing_files(name: str, folder: Path) -> list[Path]:
    """Return the files of a built-in data set that ``folder`` lacks."""
    return [folder / file for file in BUILT_IN[name].files if not (folder / file).is_file()]


def parquet_error(path: Path) -> str | None:
    """Return why a parquet file's description of its columns cannot be read; None where it can."""
    # Imported here: only who has such files pays for it.
    from pyarrow import ArrowException
    from pyarrow.parquet import read_metadata

    try:
        read_metadata(path)
    except (ArrowException, OSError, ValueError) as error:
        return " ".join(str(error).split())
    return None


Shift = Literal["rotated", "shuffled", "mnist", "fashion_mnist", "cifar10", "cifar100", "svhn"]


def facts_of(dataset: DatasetConfig) -> DatasetFacts:
    """Return what is known of a built-in data set, or of images or texts of your own, before it is
    loaded."""
    return dataset.facts if isinstance(dataset, ImageFiles | TextFiles) else BUILT_IN[str(dataset)]
