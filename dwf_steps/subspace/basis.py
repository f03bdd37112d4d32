"""A subspace of weight space in dual form, and weight space itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_record, save_record
from dwf_steps.subspace.centring import centred_strips

if TYPE_CHECKING:  # steps that read a basis alone need not pay for these
    import torch

    from dwf_steps.storage.matrix import WeightMatrix
    from dwf_steps.subspace.gram import Selection


class GeneratedProducts(Protocol):
    """What is known of k generated networks beside n training networks: see `metrics.products.Products`."""

    @property
    def distances_to_training(self) -> np.ndarray:
        """Euclidean distances between weights, (k, n)."""

    def coordinates(self, decoder: np.ndarray) -> np.ndarray:
        """Return the generated networks' coordinates (k, c) in the basis of ``decoder`` (c, n)."""


@dataclass(frozen=True)
class Basis(ABC):
    """A subspace as its file holds it: components are combinations of the n centred training rows Xc, so that
    no (k, d) array is needed.

    Two kinds of numbers describe a network. Its *coordinates* are what flows move: coordinates along
    components, or, in all of weight space, weights relative to the training mean (d). Its *point* is what
    controls combine: coordinates along components, or coefficients of the training rows (n).

    Attributes
    ----------
    coordinates
        (n, k), of the training networks.
    held_out_coordinates
        (h, k), of the held-out networks, projected.
    decoder
        (k, n): each component as a combination of centred training rows.
    variances
        (k,), of the training coordinates along each component (divisor n - 1).
    total_variance
        Trace of the training rows' covariance: the denominator of explained variance.
    raw
        In the file, whether the subspace is all of weight space: `RawBasis`.
    """

    coordinates: np.ndarray
    held_out_coordinates: np.ndarray
    decoder: np.ndarray
    variances: np.ndarray
    total_variance: float
    raw: bool = False

    @property
    def n_training(self) -> int:
        """n."""
        return len(self.coordinates)

    @property
    def components(self) -> int:
        """The number of components; 0 in all of weight space."""
        return len(self.decoder)

    @property
    def explained_variance_ratio(self) -> np.ndarray:
        """Share of the total variance along each component, (k,)."""
        return self.variances / self.total_variance

    @property
    @abstractmethod
    def dimension(self) -> int:
        """The length of a point."""

    @abstractmethod
    def points(self, mixing: np.ndarray) -> np.ndarray:
        """Return the points (s, dimension) of mixtures (s, n) of training networks."""

    @abstractmethod
    def coefficients(self, points: np.ndarray) -> np.ndarray:
        """Return which combinations (s, n) of centred training rows points (s, dimension) are."""

    @abstractmethod
    def coordinates_of(self, matrix: "WeightMatrix", rows: "Selection") -> np.ndarray:
        """Return the coordinates (s, c) of the matrix's ``rows``, training or held-out networks."""

    @abstractmethod
    def whole_networks(self, matrix: "WeightMatrix") -> np.ndarray:
        """Return the training networks' weights (n, d), whose units are still there.

        Raises
        ------
        InputError
            If coordinates in the subspace are no whole networks.
        """

    @abstractmethod
    def sample_parts(self, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what `Samples` describe networks at coordinates (s, c) by: latents, coefficients of the
        training rows (s, n), and offsets (s, d) or (s, 0)."""

    @abstractmethod
    def sample_coordinates(self, latents: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the coordinates (s, c) of which `sample_parts` made these latents and offsets."""

    @abstractmethod
    def network_decoder(
        self, matrix: "WeightMatrix", device: "torch.device"
    ) -> Callable[["torch.Tensor"], "torch.Tensor"]:
        """Return what makes networks (s, d) of coordinates (s, c), differentiably, in float32."""

    @abstractmethod
    def gaussian_of_weights(self, matrix: "WeightMatrix", std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean (c,) and factor F of the coordinates of networks with independent weights N(0, std^2):
        their covariance is F'F; F is (c, c), or (c,) for a diagonal.

        Parameters
        ----------
        std
            (d,).
        """

    @abstractmethod
    def distances_to_training(self, products: GeneratedProducts) -> np.ndarray:
        """Return the distances (k, n) within the subspace of generated networks to training networks."""

    @abstractmethod
    def nearest_distances(
        self, trajectories: np.ndarray, between_weights: tuple[float, float]
    ) -> tuple[float, float]:
        """Return the mean distances within the subspace of training networks, and of held-out ones, to the
        nearest training network of another trajectory; NaN where there are none.

        Parameters
        ----------
        trajectories
            (n,), of the training networks.
        between_weights
            The same two distances in all of weight space.
        """

    def save(self, path: Path) -> None:
        """Write as npz, atomically."""
        save_record(path, self)

    @classmethod
    def load(cls, path: Path) -> "Basis":
        """Read what `save` wrote."""
        stored = load_record(path, ReducedBasis)
        return RawBasis(**vars(stored)) if stored.raw else stored


class ReducedBasis(Basis):
    """A subspace of k components: its point z is the network ``mean + z @ decoder @ Xc``."""

    @property
    def dimension(self) -> int:
        return self.components

    def points(self, mixing: np.ndarray) -> np.ndarray:
        return mixing @ self.coordinates

    def coefficients(self, points: np.ndarray) -> np.ndarray:
        return points @ self.decoder

    def coordinates_of(self, matrix: "WeightMatrix", rows: "Selection") -> np.ndarray:  # noqa: ARG002
        return np.concatenate([self.coordinates, self.held_out_coordinates])[rows]

    def whole_networks(self, matrix: "WeightMatrix") -> np.ndarray:  # noqa: ARG002
        raise InputError("a flow over units needs whole networks: use a subspace of method 'none'")

    def sample_parts(self, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return coordinates, self.coefficients(coordinates), np.empty((len(coordinates), 0), np.float32)

    def sample_coordinates(self, latents: np.ndarray, offsets: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return latents

    def network_decoder(
        self, matrix: "WeightMatrix", device: "torch.device"
    ) -> Callable[["torch.Tensor"], "torch.Tensor"]:
        rows, mean = _training_rows(matrix)
        mean_weights, components = _tensors(device, mean, self.decoder @ (rows - mean))
        return lambda coordinates: coordinates @ components + mean_weights

    def gaussian_of_weights(self, matrix: "WeightMatrix", std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, k = matrix.n_training, self.components
        mean, covariance = np.zeros(k), np.zeros((k, k))
        for columns in matrix.column_blocks():
            deviations = std[columns]
            strips = centred_strips(matrix.read(columns)[:n], n, np.dtype(np.float64))
            for strip, training, weights in strips:
                components = self.decoder @ training
                mean -= components @ weights
                covariance += (components * np.square(deviations[strip])) @ components.T
        values, vectors = np.linalg.eigh(covariance)
        return mean, np.sqrt(np.maximum(values, 0))[:, None] * vectors.T

    def distances_to_training(self, products: GeneratedProducts) -> np.ndarray:
        return _distances(products.coordinates(self.decoder), self.coordinates)

    def nearest_distances(
        self,
        trajectories: np.ndarray,
        between_weights: tuple[float, float],  # noqa: ARG002
    ) -> tuple[float, float]:
        training, held_out = self.coordinates, self.held_out_coordinates
        among = np.where(trajectories[:, None] == trajectories, np.inf, _distances(training, training))
        to_training = _distances(held_out, training).min(axis=1).mean() if len(held_out) else np.nan
        return among.min(axis=1).mean(), to_training


@dataclass(frozen=True)
class RawBasis(Basis):
    """All of weight space: every training row is its own point, and all matrices, which would be identities,
    have no columns."""

    raw: bool = True

    @property
    def dimension(self) -> int:
        return self.n_training

    def points(self, mixing: np.ndarray) -> np.ndarray:
        return mixing

    def coefficients(self, points: np.ndarray) -> np.ndarray:
        return points

    def coordinates_of(self, matrix: "WeightMatrix", rows: "Selection") -> np.ndarray:
        weights = matrix.read()
        return weights[rows] - weights[: matrix.n_training].mean(axis=0, dtype=np.float64)

    def whole_networks(self, matrix: "WeightMatrix") -> np.ndarray:
        return matrix.read()[: matrix.n_training]

    def sample_parts(self, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k = len(coordinates)
        return np.empty((k, 0)), np.zeros((k, self.n_training)), coordinates.astype(np.float32)

    def sample_coordinates(self, latents: np.ndarray, offsets: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return offsets

    def network_decoder(
        self, matrix: "WeightMatrix", device: "torch.device"
    ) -> Callable[["torch.Tensor"], "torch.Tensor"]:
        (mean_weights,) = _tensors(device, _training_rows(matrix)[1])
        return lambda coordinates: coordinates + mean_weights

    def gaussian_of_weights(self, matrix: "WeightMatrix", std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        blocks = (matrix.read(columns)[: matrix.n_training] for columns in matrix.column_blocks())
        return -np.concatenate([block.mean(axis=0, dtype=np.float64) for block in blocks]), std

    def distances_to_training(self, products: GeneratedProducts) -> np.ndarray:
        return products.distances_to_training

    def nearest_distances(
        self,
        trajectories: np.ndarray,  # noqa: ARG002
        between_weights: tuple[float, float],
    ) -> tuple[float, float]:
        return between_weights


def raw_basis(gram: np.ndarray, n_training: int) -> RawBasis:
    """Return the trivial basis: every training row is its own coordinate.

    Raises
    ------
    InputError
        If all training rows are the same.
    """
    training = gram[:n_training, :n_training]
    total = float(np.trace(training)) / (n_training - 1)
    if total == 0:
        raise identical_networks(n_training)
    return RawBasis(
        coordinates=np.empty((n_training, 0)),
        held_out_coordinates=np.empty((len(gram) - n_training, 0)),
        decoder=np.empty((0, n_training)),
        variances=np.array([total]),
        total_variance=total,
    )


def identical_networks(n_training: int) -> InputError:
    """Return the error of training rows that span nothing."""
    return InputError(
        f"all {n_training} training networks are identical: their weights span no subspace; use "
        "different seeds"
    )


def _training_rows(matrix: "WeightMatrix") -> tuple[np.ndarray, np.ndarray]:
    """Return the training networks' weights (n, d) and their mean (d,)."""
    rows = matrix.read()[: matrix.n_training]
    return rows, rows.mean(axis=0, dtype=np.float64)


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Imported here: it takes most of a second, which reading a basis need not pay.
    from scipy.spatial.distance import cdist

    distances: np.ndarray = cdist(x, y)
    return distances


def _tensors(device: "torch.device", *arrays: np.ndarray) -> list["torch.Tensor"]:
    # Imported here: finding a basis takes no tensors.
    import torch

    return [torch.from_numpy(array).float().to(device) for array in arrays]
