"""Recalibrations: changes to generated networks based on training examples, applied in order."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dwf_steps.config.section import Section, Seed, expand_methods

Examples = Annotated[int, Field(ge=2)]


class LastLayer(Section):
    """Refit the output layer by ridge regression of the classes on the last hidden activations."""

    method: Literal["last_layer"] = "last_layer"
    """Least squares to one-hot targets, then one temperature for all outputs."""
    examples: Examples = 200
    """Number of training examples, the same for all networks."""
    ridge: Annotated[float, Field(gt=0)] = 0.1
    """Ridge penalty, relative to the mean squared deviation of a unit's activation."""
    seed: Seed = 0
    """Seed of the choice of examples."""


class Repair(Section):
    """Give every hidden unit the mean and standard deviation that it has in training networks.

    REPAIR, Jordan et al. 2023.
    """

    method: Literal["repair"] = "repair"
    """Shifts and scales pre-activations, layer by layer."""
    examples: Examples = 200
    """Number of training examples, the same for all networks."""
    seed: Seed = 0
    """Seed of the choice of examples."""


class FineTune(Section):
    """Take a few optimisation steps (Adam, cross-entropy)."""

    method: Literal["fine_tune"] = "fine_tune"
    """Trains all weights."""
    steps: Annotated[int, Field(ge=1)] = 10
    """Number of steps, with the same batches for all networks."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Examples per step."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate."""
    examples: Examples | None = 200
    """Number of training examples to draw batches from, the same for all networks; `null` for all."""
    seed: Seed = 0
    """Seed of the choice of examples and batches."""


class Distill(Section):
    """Distil the training networks' mean prediction in a few steps (Adam, cosine schedule).

    The training inputs are used without their labels.
    """

    method: Literal["distill"] = "distill"
    """Trains all weights."""
    probes: Annotated[int, Field(ge=1)] = 1000
    """Number of training inputs, the same for all networks."""
    seed: Seed = 0
    """Seed of the choice of inputs, which are those of response coordinates and of distilled networks with
    the same number and seed; also of the batches."""
    steps: Annotated[int, Field(ge=1)] = 100
    """Number of steps, with the same batches for all networks."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Inputs per step."""
    lr: Annotated[float, Field(gt=0)] = 3e-3
    """Initial learning rate."""
    teachers: Annotated[int, Field(ge=1)] = 100
    """Maximum number of training networks whose predictions are averaged, evenly spaced in the zoo."""


class BatchNorm(Section):
    """Recompute the running statistics of batch normalisation on training examples."""

    method: Literal["batch_norm"] = "batch_norm"
    """Exact means and variances over all examples."""
    examples: Examples = 2000
    """Number of training examples, the same for all networks."""
    batch_size: Annotated[int, Field(ge=2)] = 250
    """Examples that are normalised together, as in training."""
    seed: Seed = 0
    """Seed of the choice of examples."""


class ReferenceStatistics(Section):
    """Give every network the running statistics of one training network."""

    method: Literal["reference_statistics"] = "reference_statistics"
    """Copies the running means and variances of batch normalisation."""
    network: Annotated[int, Field(ge=0)] = 0
    """Index of the training network, from 0."""


RecalibrationMethod = Annotated[
    LastLayer | Repair | FineTune | Distill | BatchNorm | ReferenceStatistics, Field(discriminator="method")
]


RecalibrationName = Literal[
    "last_layer", "repair", "fine_tune", "distill", "batch_norm", "reference_statistics", "none"
]
Recalibration = Annotated[
    list[RecalibrationMethod],
    BeforeValidator(
        expand_methods, json_schema_input_type=list[RecalibrationMethod | RecalibrationName] | Literal["none"]
    ),
]
