"""Networks with untrained layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.generators.base import Context, GeneratorConfig, NotNegative, Sizes, Work
from dwf_steps.config.generators.random_init import initialisation_problems
from dwf_steps.config.section import planning

LayerNames = Annotated[tuple[str, ...], Field(min_length=1)]


class UntrainedConfig(GeneratorConfig):
    """Control: networks in which some layers, by default the first, are untrained.

    The other layers are those of a Gaussian sample in the subspace or of a training network. The control
    shows how much of a generated network's accuracy is due to its first layer.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.untrained:Untrained"
    stores_rows: ClassVar[bool] = True

    kind: Literal["untrained"]
    """Selects this control."""
    layers: Literal["first"] | LayerNames = "first"
    """The untrained layers: `first`, or their names in the state dict without `.weight`: `[layers.0]`."""
    others: Literal["gaussian", "copy"] = "gaussian"
    """Where the other layers come from: a Gaussian with the training networks' mean and covariance in the
    subspace, or a randomly drawn training network."""
    scale: NotNegative = 1.0
    """Factor of the Gaussian's deviations from the mean, a temperature."""
    initialisation: Initialisation = "default"
    """How untrained weights are drawn."""

    @property
    def reads_weights(self) -> bool:
        return True

    @property
    def encodes_networks(self) -> bool:
        return True

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        yield from initialisation_problems(self.initialisation, where, zoo, context)

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        """Return the work of drawing the other layers, of encoding networks, and of a pass over the rows."""
        drawn = super().sample_work(sizes)
        decoding = 2 * (sizes.n + 10) * sizes.g * sizes.d
        return Work(drawn.held + 16 * sizes.g * sizes.d + 32 * sizes.d, drawn.operations + decoding)
