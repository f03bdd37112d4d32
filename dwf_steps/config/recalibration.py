"""Recalibrations: changes of generated networks on training examples, methods applied in order."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dwf_steps.config.section import Section, Seed, expand_methods

Examples = Annotated[int, Field(ge=2)]


class LastLayer(Section):
    """Refit the output layer: ridge regression of the classes on the outputs of the layers before."""

    method: Literal["last_layer"] = "last_layer"
    """Least squares to one-hot targets, then one temperature for all outputs."""
    examples: Examples = 200
    """Training examples, the same for all networks."""
    ridge: Annotated[float, Field(gt=0)] = 0.1
    """Penalty, in units of the mean squared deviation of a unit's activation."""
    seed: Seed = 0
    """Chooses the examples."""


class Repair(Section):
    """Give every hidden unit the mean and the spread that it has in training networks (REPAIR; Jordan et al.
    2023)."""

    method: Literal["repair"] = "repair"
    """Shifts and scales pre-activations, layer by layer."""
    examples: Examples = 200
    """Training examples, the same for all networks."""
    seed: Seed = 0
    """Chooses the examples."""


class FineTune(Section):
    """Take a few optimisation steps (Adam, cross-entropy)."""

    method: Literal["fine_tune"] = "fine_tune"
    """Trains all weights."""
    steps: Annotated[int, Field(ge=1)] = 10
    """Steps, with the same batches for all networks."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Examples a step."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate."""
    examples: Examples | None = 200
    """Training examples to draw from, the same for all networks; `null` for all there are."""
    seed: Seed = 0
    """Chooses examples and batches."""


class Distill(Section):
    """Take a few optimisation steps (Adam, a cosine schedule) towards the training networks' mean prediction
    for some training inputs, without their labels."""

    method: Literal["distill"] = "distill"
    """Trains all weights."""
    probes: Annotated[int, Field(ge=1)] = 1000
    """Training inputs, the same for all networks."""
    seed: Seed = 0
    """Chooses them, as for response coordinates and distilled networks, and the batches."""
    steps: Annotated[int, Field(ge=1)] = 100
    """Steps, with the same batches for all networks."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Inputs a step."""
    lr: Annotated[float, Field(gt=0)] = 3e-3
    """First learning rate."""
    teachers: Annotated[int, Field(ge=1)] = 100
    """Training networks, at most, whose predictions are averaged; spread evenly over the zoo."""


class BatchNorm(Section):
    """Recompute the running statistics of batch normalisation on training examples."""

    method: Literal["batch_norm"] = "batch_norm"
    """Exact means and variances over all examples."""
    examples: Examples = 2000
    """Training examples, the same for all networks."""
    batch_size: Annotated[int, Field(ge=2)] = 250
    """Examples that are normalised together, as in training."""
    seed: Seed = 0
    """Chooses the examples."""


class ReferenceStatistics(Section):
    """Give every network the running statistics of one training network."""

    method: Literal["reference_statistics"] = "reference_statistics"
    """Copies what batch normalisation keeps."""
    network: Annotated[int, Field(ge=0)] = 0
    """Which training network, counted from 0."""


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
