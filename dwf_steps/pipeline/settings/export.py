"""Settings of the export to other libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class ExportPretrained(StepSettings):
    """The networks' architecture."""

    architecture: BertConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls.model_validate({"architecture": experiment.zoo(names).architecture})

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of checking networks, and of copying them where there are no hard links."""
        return Work(4 * sizes.d, 12 * sizes.g * sizes.d / sizes.READ)
