"""A Gaussian in the subspace."""

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig, NotNegative


class GaussianConfig(GeneratorConfig):
    """Control: a Gaussian with the training networks' mean and covariance, in the same subspace."""

    implementation: ClassVar[str] = "dwf_steps.generators.gaussian:Gaussian"

    kind: Literal["gaussian"]
    """Selects this control."""
    scale: NotNegative = 1.0
    """Factor of the deviations from the mean, a temperature; with 0 all samples are the mean."""
