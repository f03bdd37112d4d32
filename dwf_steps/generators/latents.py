"""Latents of the training networks, which flows and other models are fitted to."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.geometry.canonical_form import CanonicalForm
from dwf_steps.geometry.form import IDENTITY, Form, PartForm
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis

# Mean and standard deviation of the columns of rows; a second argument states which values are present.
Statistics = Callable[..., tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Latents:
    """The training networks' latents, which a flow or a diffusion model is fitted to.

    Latents are coordinates of the ``form``. The form's rows, times ``scale`` plus ``shift``, are coordinates
    in the subspace, or weights relative to the training mean if there is no subspace.

    Attributes
    ----------
    points
        The latents, (n, k) float32, of unit variance.
    shift, scale
        Numbers, or (d,). A single scale for all coordinates preserves the geometry of weight space; for
        latents by unit, weights have a shift and scale for each feature, shared by a layer's units unless
        these are distinguished by position. If every zoo has its own, (zoos, d).
    network
        The layout of the latents, for velocity networks that need it.
    form
        The map between latents and rows: identity, some of the columns, or canonical form.
    """

    points: torch.Tensor
    shift: torch.Tensor
    scale: torch.Tensor
    network: NetworkSpec | None = None
    form: Form = IDENTITY

    @classmethod
    def of(
        cls,
        basis: Basis,
        matrix: WeightMatrix,
        by_unit: bool = False,
        canonical: bool = False,
        columns: np.ndarray | None = None,
        positions: bool = False,
        zoos: np.ndarray | None = None,
        present: np.ndarray | None = None,
    ) -> "Latents":
        """Compute the training networks' latents.

        Parameters
        ----------
        basis
            The subspace.
        matrix
            The networks' rows.
        by_unit
            Whether the velocity network processes whole networks by unit.
        canonical
            Whether networks are brought into canonical form.
        columns
            The columns of whole networks that latents consist of, (k,), sorted; None for all.
        positions
            Whether units are distinguished by their position, as in `NetworkSpec.tokens`.
        zoos
            The number of each network's zoo, (n,), if the flow is conditioned on it. Latents are then
            standardised within each zoo: the condition says how zoos differ, the flow how networks do.
        present
            Which columns the networks of each zoo have, (zoos, d) bool; None for all. Latents are zero at the
            others.

        Raises
        ------
        InputError
            If whole networks are needed and the subspace reduces them.
        """
        if canonical:
            rows = basis.whole_networks(matrix)
            network = NetworkSpec.of(matrix.layout, matrix.architecture)
            form = CanonicalForm.of(matrix.layout, network.architecture.rescaling_spec(), rows)
            shift = torch.from_numpy(-rows.mean(axis=0, dtype=np.float64))
            return cls(form.points(rows), shift, torch.tensor(1.0).double(), network, form)
        if by_unit or columns is not None:
            rows = basis.whole_networks(matrix)
            part = np.arange(rows.shape[1]) if columns is None else columns
            here = None if present is None else present[:, part]
            return cls._of_part(rows, matrix, part, by_unit, positions, zoos, here)
        coordinates = basis.coordinates_of(matrix, slice(matrix.n_training))
        if zoos is not None:
            means, spreads = _by_zoo(_common_statistics, coordinates, zoos)
            points = torch.from_numpy((coordinates - means[zoos]) / spreads[zoos]).float()
            return cls(points, torch.from_numpy(means), torch.from_numpy(spreads))
        std = np.sqrt(coordinates.var(axis=0, ddof=1).mean())
        points = torch.from_numpy(coordinates / std).float()
        return cls(points, torch.tensor(0.0).double(), torch.tensor(std))

    @classmethod
    def _of_part(
        cls,
        rows: np.ndarray,
        matrix: WeightMatrix,
        columns: np.ndarray,
        by_unit: bool,
        positions: bool,
        zoos: np.ndarray | None,
        present: np.ndarray | None,
    ) -> "Latents":
        """Return the latents of columns (k,) of whole networks (n, d).

        If ``present`` is given, (zoos, k) bool, it states which of them the networks of each zoo have.
        """
        network, d, part = None, rows.shape[1], rows[:, columns].astype(np.float64)
        mean = part.mean(axis=0)
        form: Form = IDENTITY if len(columns) == d else PartForm(columns, d)
        statistics: Statistics = _common_statistics
        if by_unit:
            network = NetworkSpec.of(
                matrix.layout, matrix.architecture, None if form is IDENTITY else columns
            )
            statistics = network.tokens(positions).statistics
        own: np.ndarray | slice = slice(None)
        if zoos is None:
            centre, spread = statistics(part)
            shift = np.zeros(d)
        else:
            own, (centre, spread) = zoos, _by_zoo(statistics, part, zoos, present)
            means = [rows[zoos == zoo].mean(axis=0, dtype=np.float64) for zoo in range(len(centre))]
            shift = np.stack(means) - rows.mean(axis=0, dtype=np.float64)
        latents = (part - mean - (centre - mean)[own]) / spread[own]
        scale = np.ones_like(shift)
        shift[..., columns], scale[..., columns] = centre - mean, spread
        points = torch.from_numpy(latents if present is None else latents * present[own]).float()
        return cls(points, torch.from_numpy(shift), torch.from_numpy(scale), network, form)

    def at(self, coordinates: np.ndarray) -> torch.Tensor:
        """Return the latents (s, k) float32 of rows (s, d) relative to the training mean."""
        return self.form.points((coordinates - self.shift.numpy()) / self.scale.numpy())


def _common_statistics(rows: np.ndarray, present: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each column of rows (n, k), and one standard deviation of all, each (k,).

    If ``present`` is given, (n, k) bool and equal in all rows, the other columns are ignored.
    """
    variances = rows.var(axis=0, ddof=1)
    spread = np.sqrt((variances if present is None else variances[present[0]]).mean())
    return rows.mean(axis=0, dtype=np.float64), np.full(rows.shape[1], spread)


def _by_zoo(
    statistics: Statistics, rows: np.ndarray, zoos: np.ndarray, present: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard deviations of the rows (n, k) of each zoo, each (zoos, k)."""
    found = []
    for zoo in range(zoos.max() + 1):
        own = rows[zoos == zoo]
        found.append(statistics(own, None if present is None else np.broadcast_to(present[zoo], own.shape)))
    means, spreads = zip(*found, strict=True)
    return np.stack(means), np.stack(spreads)
