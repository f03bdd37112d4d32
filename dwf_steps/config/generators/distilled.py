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
    """Schedule of the learning rate, which falls to zero at the end of training unless it is `constant`."""
    steps: Annotated[int, Field(ge=0)] = 500
    """Number of batches; training never stops earlier."""

    @property
    def as_training(self) -> TrainingConfig:
        """The same as settings of a zoo's training, without the number of steps."""
        return TrainingConfig.model_validate(self.model_dump(exclude={"steps"}))


class DistilledConfig(GeneratorConfig):
    """Control: networks trained from scratch on a few unlabelled training inputs.

    They are trained to match the mean prediction of the zoo's training networks, and are not canonicalized. A
    generator that uses as many inputs should do better in the same time. A sweep over `training.steps` turns
    the control into a curve.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.distilled:Distilled"
    makes: ClassVar[Literal["samples", "networks"]] = "networks"

    kind: Literal["distilled"]
    """Selects this control."""
    probes: Annotated[int, Field(ge=1)] = 1000
    """Number of training inputs on which networks are trained."""
    seed: Seed = 0
    """Seed of the choice of inputs, which are those of response coordinates with the same number and seed."""
    targets: Literal["zoo", "labels"] = "zoo"
    """What is learned: the mean prediction of the `zoo` (mean class probabilities, or the mean number), or
    the `labels` of the same inputs."""
    training: Distillation = Distillation()
    """How the networks are trained, and for how long."""

    @property
    def reads_data(self) -> bool:
        return True

    @property
    def reads_weights(self) -> bool:
        return self.targets == "zoo"

    @planning
    def make_work(self, sizes: Sizes, networks: int) -> Work:
        """Return the work of training networks, and of predicting with the zoo's."""
        batch, steps = self.training.batch_size, self.training.steps
        held = 32 * networks * sizes.d + 16 * networks * (batch * sizes.units + self.probes)
        taught = sizes.n * self.probes * self.reads_weights
        return Work(
            held + sizes.data + 3 * 2**29 * self.reads_weights,
            sizes.multiplications * (6.0 * networks * steps * batch + 2.0 * taught),
            steps,
        )
