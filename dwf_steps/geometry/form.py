"""Changes of coordinates between networks' weights and the points that a generator models."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from dwf_steps.geometry.euclidean import EUCLIDEAN
from dwf_steps.geometry.manifold import Manifold
from dwf_steps.storage.layout import Layout
from dwf_steps.symmetry.spec import RescalingSpec

Decoder = Callable[[torch.Tensor], torch.Tensor]
"""Returns the weights (n, d) of networks with given latents (n, k)."""

OverUnits = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Maps the mean and standard deviation of every weight, each (d,), to those of networks of another size."""


class Form(ABC):
    """A change of coordinates between rows of weights and the points that a generator models.

    Implementations: `IdentityForm`, `PartForm` and `CanonicalForm`.
    """

    @property
    @abstractmethod
    def manifold(self) -> Manifold:
        """The manifold of the coordinates."""

    @abstractmethod
    def points(self, rows: np.ndarray) -> torch.Tensor:
        """Return the coordinates (n, k) float32 of ``rows`` (n, d); k < d only for a part of the weights."""

    @abstractmethod
    def weights(self, points: torch.Tensor) -> torch.Tensor:
        """Return the rows (n, d) with these coordinates, differentiably."""

    @abstractmethod
    def decoder(self, relative: Callable[[], Decoder]) -> Decoder:
        """Return the function from latents to networks.

        Parameters
        ----------
        relative
            Returns the decoder of rows that are not whole networks but coordinates in a subspace or relative
            to the training mean. It is only called for such rows; other forms decode by `weights`.
        """

    @abstractmethod
    def resized_to(self, layout: Layout, spec: Callable[[], RescalingSpec], over_units: OverUnits) -> "Form":
        """Return the form of networks of another size.

        Parameters
        ----------
        layout
            The parameters of these networks.
        spec
            Returns their scaling symmetry.
        over_units
            Maps what is known of every weight to these networks, by averaging over units.
        """

    @property
    @abstractmethod
    def state(self) -> Mapping[str, np.ndarray]:
        """The arrays that the model's file holds: each (d,), or the indices of columns."""


class IdentityForm(Form):
    """The identity: rows are their own coordinates."""

    @property
    def manifold(self) -> Manifold:
        return EUCLIDEAN

    def points(self, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(rows).float()

    def weights(self, points: torch.Tensor) -> torch.Tensor:
        return points

    def decoder(self, relative: Callable[[], Decoder]) -> Decoder:
        return relative()

    def resized_to(self, layout: Layout, spec: Callable[[], RescalingSpec], over_units: OverUnits) -> Form:  # noqa: ARG002
        return self

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        return {}


@dataclass(frozen=True)
class PartForm(IdentityForm):
    """The coordinates are some columns of a row; `weights` sets all others to zero.

    Attributes
    ----------
    columns
        Indices of the columns, (k,).
    size
        The number of weights in a row, d.
    """

    columns: np.ndarray
    size: int

    def points(self, rows: np.ndarray) -> torch.Tensor:
        return super().points(rows[:, self.columns])

    def weights(self, points: torch.Tensor) -> torch.Tensor:
        places = torch.from_numpy(self.columns).to(points.device)
        return points.new_zeros(len(points), self.size).index_copy(1, places, points)

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        return {"columns": self.columns}


IDENTITY = IdentityForm()
