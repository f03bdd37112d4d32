"""Training networks with noise."""

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig, NotNegative


class NoiseConfig(GeneratorConfig):
    """Control: isotropic noise around a randomly drawn training network."""

    implementation: ClassVar[str] = "dwf_steps.generators.noise:Noise"

    kind: Literal["noise"]
    """Selects this control."""
    std: NotNegative = 0.02
    """Standard deviation of the noise, in the units of the weights."""
