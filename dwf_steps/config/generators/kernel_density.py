"""A kernel density in the subspace."""

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig, Positive


class KernelDensityConfig(GeneratorConfig):
    """Control: a kernel density in the subspace.

    A sample is a training network plus Gaussian noise with the training networks' covariance.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.kernel_density:KernelDensity"

    kind: Literal["kernel_density"]
    """Selects this control."""
    bandwidth: Positive | None = None
    """Factor of the noise's standard deviations; by default Scott's, n^(-1 / (k + 4)) with n networks and k
    components."""
