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
    """Control: some layers, by default the first, have the coordinates of untrained networks, and all others
    those of a Gaussian draw in the subspace or of a training network. It tells how much of a generated
    network's accuracy its first layer deserves."""

    implementation: ClassVar[str] = "dwf_steps.generators.untrained:Untrained"
    stores_rows: ClassVar[bool] = True

    kind: Literal["untrained"]
    """Marks the generator as this control."""
    layers: Literal["first"] | LayerNames = "first"
    """The untrained layers: `first`, or names as in the state dict, without `.weight`: `[layers.0]`."""
    others: Literal["gaussian", "copy"] = "gaussian"
    """Where the other layers come from: a Gaussian with the training networks' mean and covariance in the
    subspace, or a training network drawn at random."""
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
        """The Gaussian's draw, the untrained networks and their coordinates, and a pass over the rows."""
        drawn = super().sample_work(sizes)
        decoding = 2 * (sizes.n + 10) * sizes.g * sizes.d
        return Work(drawn.held + 16 * sizes.g * sizes.d + 32 * sizes.d, drawn.operations + decoding)
