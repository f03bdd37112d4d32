"""Disturbed training networks."""

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig, NotNegative


class NoiseConfig(GeneratorConfig):
    """Control: isotropic noise around a training network drawn at random."""

    implementation: ClassVar[str] = "dwf_steps.generators.noise:Noise"

    kind: Literal["noise"]
    """Marks the generator as this control."""
    std: NotNegative = 0.02
    """Standard deviation of the noise, in units of the weights themselves."""
