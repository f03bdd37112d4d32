"""A Gaussian for every weight."""

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig, NotNegative


class ParameterGaussianConfig(GeneratorConfig):
    """Control: every weight on its own, with the training networks' mean and standard deviation (Zeng et al.
    2025)."""

    implementation: ClassVar[str] = "dwf_steps.generators.parameter_gaussian:ParameterGaussian"

    kind: Literal["parameter_gaussian"]
    """Marks the generator as this control."""
    scale: NotNegative = 1.0
    """Factor of the deviations from the mean."""
