"""Transfers: networks evaluated and fine-tuned on another data set."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.config.section import Name, Section
from dwf_steps.config.zoo import TrainingConfig


class TransferConfig(Section):
    """Networks on another data set: scored before fine-tuning and after each of its epochs.

    The networks of all generators and controls are treated alike.
    """

    dataset: Name
    """The name of a built-in data set, or of one under `datasets`."""
    size: Annotated[int, Field(ge=1)] | None = None
    """Height and width to which images are rescaled, if the networks expect another size."""
    splits: SplitsConfig = SplitsConfig()
    """How the data are divided."""
    classes: Annotated[list[Annotated[int, Field(ge=0)] | None], Field(min_length=2)] | None = None
    """The output that each class of the data set corresponds to, in order; `null` leaves the examples of a
    class out. By default class k corresponds to output k."""
    head: Literal["kept", "new"] = "kept"
    """Whether the last layer is `kept`, or replaced by an untrained one (`new`) with one output per class."""
    frozen: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the parameter arrays, counted from the input, that fine-tuning leaves unchanged."""
    networks: Annotated[int, Field(ge=1)] = 10
    """How many of each generator's networks are transferred, counted from the first."""
    training: TrainingConfig = TrainingConfig()
    """How they are fine-tuned."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of batches and new last layers, which are the same for the k-th network of every generator."""

    @model_validator(mode="after")
    def _consistent(self) -> "TransferConfig":
        if self.training.patience is not None:
            raise ValueError("training.patience: a transfer keeps every epoch; leave it out")
        if self.head == "new" and self.classes is not None:
            raise ValueError("classes: a new head has an output for each class; leave them out")
        return self
