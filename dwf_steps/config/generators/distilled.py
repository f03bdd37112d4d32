"""Networks trained from scratch on a few training inputs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dwf_steps.config.generators.base import GeneratorConfig, Sizes, Work
from dwf_steps.config.section import Seed, planning
from dwf_steps.config.zoo import Optimization, TrainingConfig


class Distillation(Optimization):
    """How distilled networks are trained."""

    lr: Annotated[float, Field(gt=0)] = 3e-3
    """Learning rate."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """How the learning rate falls to zero over the whole training, if it does."""
    steps: Annotated[int, Field(ge=0)] = 500
    """Batches; all of them are taken, nothing ends the training earlier."""

    @property
    def as_training(self) -> TrainingConfig:
        """The same as settings of a zoo's training, whose length is stated in steps instead."""
        return TrainingConfig.model_validate(self.model_dump(exclude={"steps"}))


class DistilledConfig(GeneratorConfig):
    """Control: networks trained from scratch on a few training inputs without labels, towards the mean
    prediction of the zoo's training networks for them; what a generator that sees as many inputs has to beat
    in as many seconds. Not canonicalized. A sweep over `training.steps` makes it a curve."""

    implementation: ClassVar[str] = "dwf_steps.generators.distilled:Distilled"
    makes: ClassVar[Literal["samples", "networks"]] = "networks"

    kind: Literal["distilled"]
    """Marks the generator as this control."""
    probes: Annotated[int, Field(ge=1)] = 1000
    """Training inputs that networks are trained on."""
    seed: Seed = 0
    """Decides which: the same that response coordinates of this number and seed are taken on."""
    targets: Literal["zoo", "labels"] = "zoo"
    """What is learned: the `zoo`'s mean prediction (the mean probabilities of classes, or the mean number),
    or the `labels` of the same inputs."""
    training: Distillation = Distillation()
    """How long, and how."""

    @property
    def reads_data(self) -> bool:
        return True

    @property
    def reads_weights(self) -> bool:
        return self.targets == "zoo"

    @planning
    def make_work(self, sizes: Sizes, networks: int) -> Work:
        """Networks with gradients and moments, their batches, the zoo's predictions."""
        batch, steps = self.training.batch_size, self.training.steps
        held = 32 * networks * sizes.d + 16 * networks * (batch * sizes.units + self.probes)
        taught = sizes.n * self.probes * self.reads_weights
        return Work(
            held + sizes.data + 3 * 2**29 * self.reads_weights,
            sizes.multiplications * (6.0 * networks * steps * batch + 2.0 * taught),
            steps,
        )
