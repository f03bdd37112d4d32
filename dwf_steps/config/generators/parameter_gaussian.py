"""Independent Gaussians for all weights."""

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig, NotNegative


class ParameterGaussianConfig(GeneratorConfig):
    """Control: every weight drawn independently from a Gaussian (Zeng et al. 2025).

    It has the mean and standard deviation of this weight over the training networks.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.parameter_gaussian:ParameterGaussian"

    kind: Literal["parameter_gaussian"]
    """Selects this control."""
    scale: NotNegative = 1.0
    """Factor of the deviations from the mean."""
