"""What the workflow needs to know of a family of networks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

import torch
from torch import Tensor, nn

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.runtime.memory import in_halves
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.stacked import Array, NetworkState, StackedNetworks
from dwf_steps.symmetry.spec import Attention, PermutationSpec, RescalingSpec, SymmetrySpec

Result = TypeVar("Result")


class Architecture(ABC):
    """One architecture: builds its module, draws initial weights, runs many networks at once, and states its
    symmetries as data.

    Attributes
    ----------
    config
        What describes it; written into every network's file.
    layout
        Its parameters, in the order of the state dict.
    buffers
        What else its state dict has: running statistics (float32), and counters (integers), which nothing
        touches.
    tied
        Further names of parameters in the module's state dict, each with the one under which it is kept.
    layers
        How many values each layer says of one input.
    symmetries
        Which of `config.architectures.base.SYMMETRIES` it states, or tracing finds.
    """

    config: ArchitectureConfig
    layout: Layout
    buffers: tuple[str, ...] = ()
    tied: Mapping[str, str] = MappingProxyType({})
    layers: tuple[int, ...]
    symmetries: tuple[str, ...]
    _most_at_once: int | None = None
    """With more networks at once a device's memory was exhausted."""

    @abstractmethod
    def module(self) -> nn.Module:
        """Return an untrained module with the same ``state_dict`` keys."""

    @abstractmethod
    def initial_state(
        self, initialisation: Initialisation, generator: torch.Generator
    ) -> NetworkState[Tensor]:
        """Draw the first weights of one network; its buffers are as in a new one."""

    @abstractmethod
    def forward(
        self,
        networks: StackedNetworks[Tensor],
        inputs: Tensor,
        training: bool = False,
        channels_last: bool = False,
    ) -> Tensor:
        """Run n networks, as many at once as are fastest.

        Parameters
        ----------
        networks
            Parameters and buffers.
        inputs
            (batch, features) shared by all networks, or (n, batch, features).
        training
            Batch normalisation uses the batch's statistics, and moves the running ones in place.
        channels_last
            Images lie in memory pixel by pixel.

        Returns
        -------
        Logits (n, batch, classes).
        """

    @abstractmethod
    def call(self, network: NetworkState[Tensor], inputs: Tensor) -> Tensor:
        """Return one network's outputs (batch, classes) for inputs (batch, *input_shape)."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, as the module takes it."""
        return getattr(self.config, "shape", (self.config.features,))

    def at_once(self, n: int, device: torch.device) -> int:  # noqa: ARG002
        """Return how many of n networks are fastest when they are run at once on a device."""
        return n

    def groups(self, n: int, device: torch.device) -> list[slice]:
        """Return which of n networks to run at once on a device."""
        return _ranges(n, min(self.at_once(n, device), self._most_at_once or n))

    def in_groups(self, n: int, device: torch.device, run: Callable[[list[slice]], Result]) -> Result:
        """Return what ``run`` returns for n networks, divided into `groups`.

        Where the device's memory is not enough, groups are half as large, from then on: ``run`` is called
        again, and must do all of its work again.

        Raises
        ------
        RuntimeError
            If the memory is not enough for one network at a time.
        """
        size = self.groups(n, device)[0].stop
        result, fitting = in_halves(size, lambda size: run(_ranges(n, size)), "networks")
        if fitting < size:
            self._most_at_once = fitting
        return result

    def parameters_of(self, networks: StackedNetworks[Array]) -> StackedNetworks[Array]:
        """Return the networks without their buffers."""
        return networks.only(entry.name for entry in self.layout.entries)

    def permutation_spec(self) -> PermutationSpec:
        """Return which permutation acts on which axis of which parameter, and of buffers that move along; on
        none where no such symmetry is known."""
        return {entry.name: (None,) * len(entry.shape) for entry in self.layout.entries}

    def rescaling_spec(self) -> RescalingSpec:
        """Return the positive scaling symmetry of every hidden layer.

        Raises
        ------
        ValueError
            If there is none.
        """
        raise ValueError(f"{self.config.called} states no scaling symmetry (`rescaling_spec`)")

    def attention_spec(self) -> list[Attention]:
        """Return the attentions whose heads, and dimensions within heads, may be permuted."""
        return []

    def symmetry_spec(self) -> SymmetrySpec:
        """Return all of the networks' symmetries."""
        return SymmetrySpec(
            parameters=tuple(entry.name for entry in self.layout.entries),
            permutations=self.permutation_spec(),
            attentions=tuple(self.attention_spec()),
            rescalings=self.rescaling_spec() if "rescaling_spec" in self.symmetries else None,
        )

    @property
    def smallest_batch(self) -> int:
        """The fewest examples that networks can be trained on at a time."""
        return 1

    @property
    def widest(self) -> int:
        """The most values that a layer says of one input."""
        return max(self.layers)


def _ranges(n: int, size: int) -> list[slice]:
    """Return n networks in ranges of at most ``size``; one empty range of none."""
    size = max(1, size)
    return [slice(start, min(start + size, n)) for start in range(0, max(1, n), size)]
