"""Base class of architectures."""

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
    """A family of networks that differ only in their weights.

    It builds its module, initialises networks, runs many of them at once, and states its symmetries as data.

    Attributes
    ----------
    config
        The configuration; it is written into every network's file.
    layout
        The parameters, in the order of the state dict.
    buffers
        Other entries of the state dict: running statistics (float32), and counters (integers), which are
        never changed.
    tied
        Names of tied parameters in the module's state dict, each with the name that is kept.
    layers
        Number of outputs of each layer for one input.
    symmetries
        Which of `config.architectures.base.SYMMETRIES` the architecture states, or tracing finds.
    """

    config: ArchitectureConfig
    layout: Layout
    buffers: tuple[str, ...] = ()
    tied: Mapping[str, str] = MappingProxyType({})
    layers: tuple[int, ...]
    symmetries: tuple[str, ...]
    _most_at_once: int | None = None
    """Number of networks at once that fits into the device's memory, once larger ones did not."""

    @abstractmethod
    def module(self) -> nn.Module:
        """Return an untrained module with the same ``state_dict`` keys."""

    @abstractmethod
    def initial_state(
        self, initialisation: Initialisation, generator: torch.Generator
    ) -> NetworkState[Tensor]:
        """Initialise one network; its buffers have their initial values."""

    @abstractmethod
    def forward(
        self,
        networks: StackedNetworks[Tensor],
        inputs: Tensor,
        training: bool = False,
        channels_last: bool = False,
    ) -> Tensor:
        """Run n networks, in groups of the size that is fastest.

        Parameters
        ----------
        networks
            Parameters and buffers.
        inputs
            (b, features) shared by all networks, or (n, b, features).
        training
            Whether batch normalisation uses the batch's statistics, and updates the running ones in place.
        channels_last
            Whether images are stored with channels last in memory.

        Returns
        -------
        Outputs (n, b, classes).
        """

    @abstractmethod
    def call(self, network: NetworkState[Tensor], inputs: Tensor) -> Tensor:
        """Return one network's outputs (b, classes) for inputs (b, *input_shape)."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, as the module expects it."""
        return getattr(self.config, "shape", (self.config.features,))

    def at_once(self, n: int, device: torch.device) -> int:  # noqa: ARG002
        """Return the number of networks, of n, that are fastest to run together on a device."""
        return n

    def groups(self, n: int, device: torch.device) -> list[slice]:
        """Return ranges of n networks that are run together on a device."""
        return _ranges(n, min(self.at_once(n, device), self._most_at_once or n))

    def in_groups(self, n: int, device: torch.device, run: Callable[[list[slice]], Result]) -> Result:
        """Call a function with n networks divided into `groups`.

        If the device runs out of memory, the groups are halved from then on, and ``run`` is called again with
        all networks.

        Parameters
        ----------
        n
            Number of networks.
        device
            Where they are run.
        run
            Processes all of the given groups.

        Returns
        -------
        The result of ``run``.

        Raises
        ------
        RuntimeError
            If the memory is not enough for a single network.
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
        """Return the permutation that acts on each axis of each parameter.

        Buffers that are permuted with parameters are included. By default no axis is permuted.
        """
        return {entry.name: (None,) * len(entry.shape) for entry in self.layout.entries}

    def rescaling_spec(self) -> RescalingSpec:
        """Return the positive scaling symmetries of the hidden layers.

        Raises
        ------
        ValueError
            If there are none.
        """
        raise ValueError(f"{self.config.called} states no scaling symmetry (`rescaling_spec`)")

    def attention_spec(self) -> list[Attention]:
        """Return the attention layers whose heads, and dimensions within heads, may be permuted."""
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
        """Smallest number of examples in a training batch."""
        return 1

    @property
    def widest(self) -> int:
        """Largest number of outputs of a layer for one input."""
        return max(self.layers)


def _ranges(n: int, size: int) -> list[slice]:
    """Divide n networks into ranges of at most ``size``; a single empty range if n is 0."""
    size = max(1, size)
    return [slice(start, min(start + size, n)) for start in range(0, max(1, n), size)]
