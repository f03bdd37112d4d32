"""Data sets and their splits."""

import codecs
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from dwf_steps.config.section import Name, Section

PADDING = 0
"""The token that short texts are padded with, as in BERT; attention masks it."""

Shape = tuple[int, int, int]
"""Channels, height and width."""


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a data set before it is loaded.

    Attributes
    ----------
    features
        Number of values of one input.
    classes
        Number of classes; None where only the data tell, 1 where the target is a number.
    examples
        Number of examples, without those of a separate test set; an estimate for the user's own files.
    test
        Number of examples of a separate test set; None if there is none.
    shape
        Channels, height and width of an image; None for other inputs.
    files
        Where torchvision keeps the files, below its root; empty for data sets that ship with a dependency.
    """

    features: int
    classes: int | None
    examples: int
    test: int | None = None
    shape: Shape | None = None
    files: tuple[str, ...] = ()


def _images(shape: Shape, classes: int, examples: int, test: int, folder: str, *files: str) -> DatasetFacts:
    channels, height, width = shape
    places = tuple(f"{folder}/{file}" for file in files)
    return DatasetFacts(channels * height * width, classes, examples, test, shape, places)


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
    "digits": DatasetFacts(64, 10, 1797, shape=(1, 8, 8)),
    "mnist": _images((1, 28, 28), 10, 60_000, 10_000, "MNIST/raw", *IDX_FILES),
    "fashion_mnist": _images((1, 28, 28), 10, 60_000, 10_000, "FashionMNIST/raw", *IDX_FILES),
    "cifar10": _images((3, 32, 32), 10, 50_000, 10_000, "cifar-10-batches-py", *CIFAR10_FILES),
    "cifar100": _images((3, 32, 32), 100, 50_000, 10_000, "cifar-100-python", "train", "test", "meta"),
    "svhn": _images((3, 32, 32), 10, 73_257, 26_032, ".", "train_32x32.mat", "test_32x32.mat"),
    "stl10": _images((3, 96, 96), 10, 5_000, 8_000, "stl10_binary", *STL10_FILES),
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
    """Targets that are numbers instead of classes.

    Networks predict them with a single output, on a scale on which `low` is 0 and `high` is 1, and are
    trained with the squared error.
    """

    low: float = 0.0
    """The lowest possible target."""
    high: float
    """The highest possible target."""
    tolerance: Annotated[float, Field(gt=0)] = 0.5
    """The largest error of a prediction that counts as correct, in the units of the targets: 0.5 for ratings
    in whole stars. Accuracy and the overlap of mistakes depend on it."""

    @model_validator(mode="after")
    def _ordered(self) -> "RegressionTarget":
        if not self.low < self.high:
            raise ValueError(f"low ({self.low}) must be less than high ({self.high})")
        return self


TaskName = Literal["classification", "regression"]


class Targets(Section):
    """Settings shared by data files with classes or numbers."""

    regression: RegressionTarget | None = None
    """Set this if the target is a number to predict."""

    @property
    def task(self) -> TaskName:
        """What networks are trained to do."""
        return "regression" if self.regression else "classification"

    @property
    def tolerance(self) -> float:
        """The largest error of a correct prediction on the scale from 0 to 1; 0 for classes."""
        numbers = self.regression
        return numbers.tolerance / self.scale if numbers else 0.0

    @property
    def scale(self) -> float:
        """How many of the target's units the scale from 0 to 1 spans; 1 for classes."""
        return self.regression.high - self.regression.low if self.regression else 1.0


class TableFile(Targets):
    """A table of your own: one example per row."""

    file: Path
    """A `.csv` file with a header."""
    target: str
    """The column with the class or number; all other columns are numeric features. Classes are numbered in
    sorted order, numbers by value and before names. A class may be called `NA` or `null`."""
    test: Path | None = None
    """A file with the test set, with the same columns. Without it, a share of the rows is held back."""
    encoding: str = "utf-8"
    """Character encoding of the files, by its Python name: `utf-8`, `latin-1`, `cp1252`, `utf-16`."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """The character between columns: `;`, `"\\t"`, ..."""

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
    """Your own images, each with a class.

    They are decoded once, into `results/data`.
    """

    train: Path
    """A folder with one folder of image files per class, or a `.parquet` file with one image per row. Images
    have 8 or 16 bits per channel. Files and folders whose names begin with a dot are ignored."""
    test: Path | None = None
    """The test set in the same form. Without it, a share of the training images is held back."""
    size: Annotated[int, Field(ge=1)]
    """Height and width in pixels; images of other sizes are rescaled."""
    channels: Literal[1, 3] = 3
    """1 for greyscale, 3 for colour. Transparency is dropped, except in images of a single colour, where it
    carries the shape: these are placed on white, or on black if the colour is light."""
    image: str = "img"
    """The parquet column with the images: encoded bytes, or a struct with the bytes under `bytes`."""
    label: str = "label"
    """The parquet column with the classes, which are numbered in sorted order, numbers by value and before
    names."""
    unreadable: Literal["refuse", "skip"] = "refuse"
    """What to do with files and rows that cannot be decoded: stop at the first (`refuse`), or leave them all
    out, and count and name them in the log (`skip`)."""

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
        """What is known without decoding the images; counting ``examples`` reads the folder."""
        test = None if self.test is None else self._count(self.test)
        return DatasetFacts(self.channels * self.size**2, None, self._count(self.train), test, self.shape)

    def _count(self, images: Path) -> int:
        if images.is_dir():
            files = (path.relative_to(images).parts for path in images.glob("*/*"))
            return sum(1 for parts in files if not any(part.startswith(".") for part in parts))
        # Imported here, since few configurations have such files.
        from pyarrow.parquet import read_metadata

        return int(read_metadata(images).num_rows)


class TextFiles(Targets):
    """Your own texts, each with a class or a number.

    They are tokenized once, into `results/data`.
    """

    train: Path
    """A `.csv` file with a header, or a `.parquet` file, with one text per row."""
    test: Path | None = None
    """The test set in the same form. Without it, a share of the training texts is held back."""
    text: str = "text"
    """The column with the texts."""
    label: str = "label"
    """The column with the targets: classes, which are numbered in sorted order, numbers by value and before
    names; or the numbers to predict."""
    sample: Annotated[int, Field(ge=2)] | None = None
    """Maximum number of rows read from each file, drawn at random; by default all rows."""
    length: Annotated[int, Field(ge=3)] = 128
    """Number of tokens per text, including those that mark its beginning and end; longer texts are
    truncated."""
    tokenizer: Path | None = None
    """A folder with a WordPiece tokenizer as saved by transformers' `BertTokenizer`, or with its `vocab.txt`
    alone. Without it, a tokenizer for lower-case text is trained on the training texts."""
    vocabulary: Annotated[int, Field(ge=100)] = 30_522
    """Maximum vocabulary size of a tokenizer that is trained."""

    @model_validator(mode="after")
    def _two_columns(self) -> "TextFiles":
        if self.text == self.label:
            raise ValueError(f"text and label name the same column, {self.label!r}; name two")
        return self

    @property
    def facts(self) -> DatasetFacts:
        """What is known without tokenizing the texts; ``examples`` is estimated from the file."""
        test = None if self.test is None else self._count(self.test)
        return DatasetFacts(self.length, 1 if self.regression else None, self._count(self.train), test)

    def _count(self, texts: Path) -> int:
        if texts.suffix == ".csv":  # assumes 100 bytes a text: only affects the estimated size of jobs
            count = texts.stat().st_size // 100
        else:
            from pyarrow.parquet import read_metadata

            count = int(read_metadata(texts).num_rows)
        return min(count, self.sample or count)


class DerivedData(Section):
    """Another data set with its images or classes changed.

    The original is divided into splits and standardised before the change.
    """

    of: Name
    """The name of a built-in data set, or of images or texts under `datasets`."""
    size: Annotated[int, Field(ge=1)] | None = None
    """Height and width to which images are rescaled."""
    change: Literal["rotated"] | None = None
    """`rotated` turns images by 90 degrees."""
    classes: Annotated[list[Annotated[int, Field(ge=0)] | None], Field(min_length=2)] | None = None
    """The new class of each original class, in order; `null` leaves the examples of a class out."""

    @model_validator(mode="after")
    def _changed(self) -> "DerivedData":
        if self.size is None and self.change is None and self.classes is None:
            raise ValueError("found no change; set size, change or classes, or use the original data set")
        return self

    def facts(self, of: DatasetFacts) -> DatasetFacts:
        """Return what is known of the data.

        Parameters
        ----------
        of
            What is known of the data set that they are derived from.

        Returns
        -------
        The facts after the change of size and classes.
        """
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
"""The data set as a step's settings have it."""


class SplitsConfig(Section):
    """How examples are divided.

    Choices are made on the validation set; the test set is only used for scores.
    """

    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the examples outside the test set that becomes the validation set."""
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """Share of all examples held back for testing; unused if the data set has its own test set."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the division. Classes keep their proportions as far as they have enough examples."""


FETCHED = [name for name, facts in BUILT_IN.items() if facts.files]


def missing_files(name: str, folder: Path) -> list[Path]:
    """Return the files of a built-in data set that a folder lacks.

    Parameters
    ----------
    name
        The data set's, in `BUILT_IN`.
    folder
        In which torchvision would keep its data sets.

    Returns
    -------
    Paths below ``folder``, in the order of the data set's list.
    """
    return [folder / file for file in BUILT_IN[name].files if not (folder / file).is_file()]


def parquet_error(path: Path) -> str | None:
    """Return why the metadata of a parquet file cannot be read.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    The reader's message in one line; None if the metadata can be read.
    """
    # Imported here, since few configurations have such files.
    from pyarrow import ArrowException
    from pyarrow.parquet import read_metadata

    try:
        read_metadata(path)
    except (ArrowException, OSError, ValueError) as error:
        return " ".join(str(error).split())
    return None


Shift = Literal["rotated", "shuffled", "mnist", "fashion_mnist", "cifar10", "cifar100", "svhn"]


def facts_of(dataset: DatasetConfig) -> DatasetFacts:
    """Return what is known of a data set before it is loaded.

    Parameters
    ----------
    dataset
        A built-in data set's name, or the user's own images or texts.

    Returns
    -------
    Its facts; for the user's own files, the number of examples is taken from the files.
    """
    return dataset.facts if isinstance(dataset, ImageFiles | TextFiles) else BUILT_IN[str(dataset)]
