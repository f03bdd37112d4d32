"""Settings of the data stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from dwf_steps.config.dataset import DatasetConfig, ImageFiles, SplitsConfig, TextFiles
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class PrepareImages(StepSettings):
    """The user's image files."""

    images: ImageFiles

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls.model_validate({"images": experiment.config.datasets[names.dataset]})

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of decoding images, at a millisecond each."""
        facts = sizes.dataset
        return Work(3 * facts.examples * facts.features, 1e-3 * facts.examples)


class PrepareTexts(StepSettings):
    """The user's text files, and how they are tokenized."""

    texts: TextFiles

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls.model_validate({"texts": experiment.config.datasets[names.dataset]})

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of tokenizing texts, at a millisecond each, and of training a tokenizer.

        Texts take about a hundred bytes per token.
        """
        facts = sizes.dataset
        return Work(100 * facts.examples * facts.features, 60 + 1e-3 * facts.examples)


class DivideData(StepSettings):
    """The data set, and how it is divided and changed."""

    dataset: DatasetConfig
    splits: SplitsConfig
    size: int | None = None
    """Height and width to which images are rescaled."""
    change: Literal["rotated"] | None = None
    """Any other change to images."""
    classes: list[int | None] | None = None
    """The output that each class corresponds to."""

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        zoo = experiment.single_zoo(names)
        derived = experiment.config.derived(zoo)
        changes = {} if derived is None else derived.model_dump(exclude={"of"})
        return cls(dataset=experiment.config.dataset(zoo), splits=zoo.splits, **changes)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        return Work(sizes.data + 8 * sizes.m * sizes.features, 60 + 1e-8 * sizes.m * sizes.features)


class DivideTransferData(DivideData):
    """The data set of a transfer, how it is divided, and how it is made to fit the networks."""

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        transfer = experiment.config.transfers[names.transfer]
        return cls(
            dataset=experiment.config.dataset(transfer),
            splits=transfer.splits,
            size=transfer.size,
            classes=transfer.classes,
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        facts = sizes.dataset
        values = facts.examples * facts.features
        return Work(28 * values, 60 + 1e-7 * values)


class JoinData(StepSettings):
    """The zoos whose data are joined."""

    zoos: list[str]

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(zoos=experiment.joint_zoo(names).with_data)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of holding all data twice, and reading them."""
        return Work(8 * sizes.m * sizes.features, 8 * sizes.m * sizes.features / sizes.READ)
