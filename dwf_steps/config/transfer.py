"""Transfers: networks taken to another data set."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.config.section import Name, Section
from dwf_steps.config.zoo import TrainingConfig


class TransferConfig(Section):
    """Networks on another data set: scored as they are, and after every epoch of fine-tuning; whatever made
    them, they are treated alike."""

    dataset: Name
    """The name of a built-in data set or of one under `datasets`."""
    size: Annotated[int, Field(ge=1)] | None = None
    """Height and width that images are scaled to, where the networks expect others."""
    splits: SplitsConfig = SplitsConfig()
    """How the data are divided."""
    classes: Annotated[list[Annotated[int, Field(ge=0)] | None], Field(min_length=2)] | None = None
    """For each class of the data set, in order, the output that stands for it; `null` leaves its examples
    out. By default class k is output k."""
    head: Literal["kept", "new"] = "kept"
    """Whether the last layer is `kept`, or replaced by an untrained one with an output for each class."""
    frozen: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the parameter arrays, counted from the input, that fine-tuning leaves alone."""
    networks: Annotated[int, Field(ge=1)] = 10
    """How many of each generator's networks, the first ones, are transferred."""
    training: TrainingConfig = TrainingConfig()
    """How they are fine-tuned."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides batches and new last layers: the k-th network of every generator has the same."""

    @model_validator(mode="after")
    def _consistent(self) -> "TransferConfig":
        if self.training.patience is not None:
            raise ValueError("training.patience: a transfer keeps every epoch; leave it out")
        if self.head == "new" and self.classes is not None:
            raise ValueError("classes: a new head has an output for each class; leave them out")
        return self
