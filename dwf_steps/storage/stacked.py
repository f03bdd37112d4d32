"""Many networks of one architecture in memory, array by array."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch


class Sliceable(Protocol):
    """The interface that NumPy arrays and PyTorch tensors share here: a length and rows."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


Array = TypeVar("Array", bound=Sliceable)
Other = TypeVar("Other", bound=Sliceable)

NetworkState = dict[str, Array]
"""One network: name -> array (*shape), parameters and buffers, as in its ``state_dict()``."""


class StackedNetworks(dict[str, Array]):
    """n networks of one architecture: name -> array (n, *shape), parameters and buffers.

    A dictionary of NumPy arrays or of PyTorch tensors. Methods return new dictionaries, whose arrays share
    memory with the original where possible.
    """

    @classmethod
    def of_one(cls, network: Mapping[str, Array]) -> "StackedNetworks[Array]":
        """Return a single network as a stack of n = 1."""
        return cls({name: array[None] for name, array in network.items()})

    @classmethod
    def stack(
        cls, networks: Sequence[Mapping[str, Array]], join: Callable[[list[Array]], Array]
    ) -> "StackedNetworks[Array]":
        """Stack networks.

        Parameters
        ----------
        networks
            The networks, at least one, with arrays (*shape).
        join
            ``np.stack`` or ``torch.stack``.
        """
        return cls({name: join([network[name] for network in networks]) for name in networks[0]})

    @property
    def count(self) -> int:
        """The number of networks, n; 0 if there are no arrays."""
        return next((len(array) for array in self.values()), 0)

    @property
    def device(self: "StackedNetworks[torch.Tensor]") -> "torch.device":
        """The device that the tensors are on."""
        return next(iter(self.values())).device

    def network(self, row: int) -> NetworkState[Array]:
        """Return one of the networks, with arrays (*shape)."""
        return {name: array[row] for name, array in self.items()}

    def select(self, rows: slice | Sequence[int] | np.ndarray) -> "StackedNetworks[Array]":
        """Return some of the networks, in the given order."""
        return StackedNetworks({name: array[rows] for name, array in self.items()})

    def only(self, names: Iterable[str]) -> "StackedNetworks[Array]":
        """Return all networks with only some of their arrays, in the given order."""
        return StackedNetworks({name: self[name] for name in names})

    def replaced(self, arrays: Mapping[str, Array]) -> "StackedNetworks[Array]":
        """Return the networks with some arrays (n, *shape) replaced or added."""
        return StackedNetworks({**self, **arrays})

    def map(self, function: Callable[[Array], Other]) -> "StackedNetworks[Other]":
        """Return the networks with a function applied to every array (n, *shape)."""
        return StackedNetworks({name: function(array) for name, array in self.items()})

    def chunks(self, size: int) -> Iterator[tuple[slice, "StackedNetworks[Array]"]]:
        """Yield row ranges and their networks, at most ``size`` at a time."""
        for start in range(0, self.count, size):
            rows = slice(start, min(start + size, self.count))
            yield rows, self.select(rows)

    def tensors(
        self: "StackedNetworks[np.ndarray]", device: "torch.device | str" = "cpu"
    ) -> "StackedNetworks[torch.Tensor]":
        """Convert NumPy arrays to tensors on a device."""
        import torch

        return self.map(lambda array: torch.from_numpy(array).to(device))

    def numpy(self: "StackedNetworks[torch.Tensor]") -> "StackedNetworks[np.ndarray]":
        """Convert tensors on any device to NumPy arrays."""
        return self.map(lambda value: value.detach().cpu().numpy())
