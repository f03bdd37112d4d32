"""Networks put together from parts of training networks."""

from __future__ import annotations

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig, Sizes, Work
from dwf_steps.config.section import planning

Parts = Literal["layer", "unit", "first_layer"]


class BootstrapConfig(GeneratorConfig):
    """Control: networks put together from parts of training networks, each part from another one drawn at
    random, in the coordinates that generators work in. The subspace plays no part."""

    implementation: ClassVar[str] = "dwf_steps.generators.bootstrap:Bootstrap"
    stores_rows: ClassVar[bool] = True

    kind: Literal["bootstrap"]
    """Marks the generator as this control."""
    by: Parts = "layer"
    """What comes from one network: a whole `layer`; an output `unit` of a layer, which is a row of its
    weights with its bias; or the `first_layer`, with all later layers from a single other network."""

    @property
    def reads_weights(self) -> bool:
        return True

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        """The samples, and a pass over the rows."""
        return Work(8 * sizes.g * sizes.d + 32 * sizes.d, 20 * (sizes.n + sizes.g) * sizes.d)
