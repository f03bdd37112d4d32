"""The coordinates of networks that a flow moves, and the networks that they stand for."""

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
"""Of latents (n, k), networks (n, d)."""

OverUnits = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Of mean and deviation of every weight, those of every weight of networks of another size."""


class Form(ABC):
    """An invertible change of coordinates. Implementations: `IdentityForm`, `PartForm` and
    `CanonicalForm`."""

    @property
    @abstractmethod
    def manifold(self) -> Manifold:
        """The manifold of the coordinates."""

    @abstractmethod
    def points(self, rows: np.ndarray) -> torch.Tensor:
        """Return the coordinates (n, k) float32 of ``rows`` (n, d); k is d but for a part."""

    @abstractmethod
    def weights(self, points: torch.Tensor) -> torch.Tensor:
        """Return the rows (n, d) with these coordinates, differentiable in them."""

    @abstractmethod
    def decoder(self, relative: Callable[[], Decoder]) -> Decoder:
        """Return what makes networks of latents: the form itself where its rows are whole networks, else what
        ``relative`` returns."""

    @abstractmethod
    def resized_to(self, layout: Layout, spec: Callable[[], RescalingSpec], over_units: OverUnits) -> "Form":
        """Return the form of networks of another size.

        Parameters
        ----------
        layout, spec
            Of these networks; ``spec`` returns their scaling symmetry.
        over_units
            What is known of a weight over all units.
        """

    @property
    @abstractmethod
    def state(self) -> Mapping[str, np.ndarray]:
        """The numbers, each (d,), or the numbers of columns, that a model's file holds."""


class IdentityForm(Form):
    """Rows are their own coordinates."""

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
    """The coordinates are some ``columns`` (k,) of rows of ``size`` d; the others are zero."""

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
