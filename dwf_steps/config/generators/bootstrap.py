"""Networks assembled from parts of training networks."""

from __future__ import annotations

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig, Sizes, Work
from dwf_steps.config.section import planning

Parts = Literal["layer", "unit", "first_layer"]


class BootstrapConfig(GeneratorConfig):
    """Control: networks assembled from parts of training networks.

    Each part comes from an independently drawn network, in the coordinates of the representation. The
    subspace is not used.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.bootstrap:Bootstrap"
    stores_rows: ClassVar[bool] = True

    kind: Literal["bootstrap"]
    """Selects this control."""
    by: Parts = "layer"
    """The part that comes from one network: a whole `layer`; an output `unit` of a layer, that is, a row of
    its weights with its bias; or the `first_layer`, with all later layers from a single other network."""

    @property
    def reads_weights(self) -> bool:
        return True

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        """Return the work for the samples and a pass over the rows."""
        return Work(8 * sizes.g * sizes.d + 32 * sizes.d, 20 * (sizes.n + sizes.g) * sizes.d)
