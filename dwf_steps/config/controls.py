"""Controls: what a flow must beat, and what bounds it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.section import Name, Section

Seed = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Draws(Section):
    """How many networks to generate, from which seed."""

    samples: Annotated[int, Field(ge=1)] = 100
    """Networks to generate."""
    seed: Seed = 0
    """Seed of the draws."""


class Control(Section):
    sampling: Draws = Draws()
    """Number and seed of the draws."""


class GaussianConfig(Control):
    """Control: a Gaussian with the training networks' mean and covariance, in the same subspace."""

    kind: Literal["gaussian"]
    """Marks the generator as this control."""
    scale: NotNegative = 1.0
    """Factor of the deviations from the mean, a temperature; 0 is the mean itself."""


class KernelDensityConfig(Control):
    """Control: a kernel density in the subspace: a training network plus Gaussian noise with the training
    networks' covariance."""

    kind: Literal["kernel_density"]
    """Marks the generator as this control."""
    bandwidth: Positive | None = None
    """Factor of the covariance's square root; by default Scott's, n^(-1 / (k + 4)) with k components."""


class ParameterGaussianConfig(Control):
    """Control: every weight on its own, with the training networks' mean and standard deviation (Zeng et al.
    2025)."""

    kind: Literal["parameter_gaussian"]
    """Marks the generator as this control."""
    scale: NotNegative = 1.0
    """Factor of the deviations from the mean."""


class NoiseConfig(Control):
    """Control: isotropic noise around a training network drawn at random."""

    kind: Literal["noise"]
    """Marks the generator as this control."""
    std: NotNegative = 0.02
    """Standard deviation of the noise, in units of the weights themselves."""


class InterpolationConfig(Control):
    """Control: a point between two training networks drawn at random."""

    kind: Literal["interpolation"]
    """Marks the generator as this control."""
    weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    """How far to go: 0 is the first network, 1 the second."""


class SoupConfig(Control):
    """Control: the mean of several training networks drawn at random (Wortsman et al. 2022)."""

    kind: Literal["soup"]
    """Marks the generator as this control."""
    networks: Annotated[int, Field(ge=1)] = 16
    """Networks that are averaged."""


class CopyConfig(Control):
    """Control: training networks themselves, what memorising looks like."""

    kind: Literal["copy"]
    """Marks the generator as this control."""


class HeldOutConfig(Control):
    """Control: held-out networks, what truly new networks look like."""

    kind: Literal["held_out"]
    """Marks the generator as this control."""


class RandomInitConfig(Control):
    """Control: networks that were never trained. Like all that are made without the zoo they are not
    canonicalized: read their distances after realigning."""

    kind: Literal["random_init"]
    """Marks the generator as this control."""
    initialisation: Initialisation = "he"
    """How their weights are drawn."""


class TrainedConfig(Control):
    """Control: networks trained anew with the zoo's settings, from seeds that the zoo does not use, for a
    part of the zoo's training; not canonicalized."""

    kind: Literal["trained"]
    """Marks the generator as this control."""
    epochs: NotNegative | None = None
    """Passes over the training set; a fraction trains for a part of an epoch."""
    equal_cost_to: Name | None = None
    """Instead: train each network for as many seconds as this generator takes for one of its networks, its
    fit included, both as measured in this workflow."""

    @model_validator(mode="after")
    def _one_of_two(self) -> "TrainedConfig":
        if (self.epochs is None) == (self.equal_cost_to is None):
            raise ValueError("give either 'epochs' or 'equal_cost_to', not both and not neither")
        return self


class SnapshotsConfig(Control):
    """Control: snapshots of a single network's training with the zoo's settings, one after the other; not
    canonicalized."""

    kind: Literal["snapshots"]
    """Marks the generator as this control."""
    skip_epochs: NotNegative = 1.0
    """Epochs before the first snapshot."""
    every_epochs: Positive = 0.5
    """Epochs between two snapshots."""


DrawnControl = Annotated[
    GaussianConfig
    | KernelDensityConfig
    | ParameterGaussianConfig
    | NoiseConfig
    | InterpolationConfig
    | SoupConfig
    | CopyConfig
    | HeldOutConfig,
    Field(discriminator="kind"),
]
"""Controls that follow from the training networks' weights."""
FreshControl = Annotated[RandomInitConfig | TrainedConfig | SnapshotsConfig, Field(discriminator="kind")]
"""Controls that are made without them."""
FRESH = ("random_init", "trained", "snapshots")
ControlConfig = DrawnControl | FreshControl
