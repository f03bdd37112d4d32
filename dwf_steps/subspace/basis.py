"""Subspaces of weight space in dual form, and all of weight space."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_record, save_record
from dwf_steps.subspace.centring import centred_strips

if TYPE_CHECKING:  # steps that only read a basis avoid the cost of these imports
    import torch

    from dwf_steps.storage.matrix import WeightMatrix
    from dwf_steps.subspace.gram import Selection


class GeneratedProducts(Protocol):
    """What subspaces use of `metrics.products.Products`, of k generated and n training networks."""

    @property
    def distances_to_training(self) -> np.ndarray:
        """Euclidean distances between weights, (k, n)."""

    def coordinates(self, decoder: np.ndarray) -> np.ndarray:
        """Return the generated networks' coordinates (k, c) in the basis with decoder ``decoder`` (c, n)."""


@dataclass(frozen=True)
class Basis(ABC):
    """A subspace in dual form: components are combinations of the n centred training rows Xc.

    No (k, d) array is needed. A network is described by two kinds of numbers. Its *coordinates* are what
    flows model: coordinates along the components or, in all of weight space, weights relative to the training
    mean (d). Its *point* is what controls combine: coordinates along the components or, in all of weight
    space, coefficients of the training rows (n).

    Attributes
    ----------
    coordinates
        Coordinates of the training networks, (n, k).
    held_out_coordinates
        Coordinates of the projections of the held-out networks, (h, k).
    decoder
        Coefficients of the components as combinations of the centred training rows, (k, n).
    variances
        Variance of the training coordinates along each component (divisor n - 1), (k,).
    total_variance
        Trace of the training rows' covariance matrix, the denominator of explained variance.
    raw
        Whether the subspace is all of weight space, a `RawBasis`; tells the two apart in a file.
    """

    coordinates: np.ndarray
    held_out_coordinates: np.ndarray
    decoder: np.ndarray
    variances: np.ndarray
    total_variance: float
    raw: bool = False

    @property
    def n_training(self) -> int:
        """The number of training networks, n."""
        return len(self.coordinates)

    @property
    def components(self) -> int:
        """The number of components, k; 0 in all of weight space."""
        return len(self.decoder)

    @property
    def explained_variance_ratio(self) -> np.ndarray:
        """The share of the total variance along each component, (k,)."""
        return self.variances / self.total_variance

    @property
    @abstractmethod
    def dimension(self) -> int:
        """The length of a point."""

    @abstractmethod
    def points(self, mixing: np.ndarray) -> np.ndarray:
        """Return the points (s, dimension) of combinations of training networks.

        Parameters
        ----------
        mixing
            Coefficients of the training networks, (s, n).
        """

    @abstractmethod
    def coefficients(self, points: np.ndarray) -> np.ndarray:
        """Return the coefficients (s, n) of points as combinations of the centred training rows.

        Parameters
        ----------
        points
            (s, dimension).
        """

    @abstractmethod
    def coordinates_of(self, matrix: "WeightMatrix", rows: "Selection") -> np.ndarray:
        """Return the coordinates (s, c) of networks of the zoo.

        Parameters
        ----------
        matrix
            Weights of the zoo.
        rows
            The s rows of the matrix, of training or held-out networks.
        """

    @abstractmethod
    def whole_networks(self, matrix: "WeightMatrix") -> np.ndarray:
        """Return the training networks' weights (n, d), if coordinates are weights.

        Parameters
        ----------
        matrix
            Weights of the zoo.

        Raises
        ------
        InputError
            If coordinates are along components, so that no unit's weights can be read from them.
        """

    @abstractmethod
    def sample_parts(self, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return latents, coefficients and offsets: the fields of `Samples` that describe networks.

        Parameters
        ----------
        coordinates
            Of the networks, (s, c).

        Returns
        -------
        latents
            (s, c); (s, 0) in all of weight space.
        coefficients
            Coefficients of the training rows, (s, n).
        offsets
            Weights relative to the training mean, (s, d); (s, 0) in a subspace of components.
        """

    @abstractmethod
    def sample_coordinates(self, latents: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the coordinates (s, c) from which `sample_parts` computed these latents and offsets."""

    @abstractmethod
    def network_decoder(
        self, matrix: "WeightMatrix", device: "torch.device"
    ) -> Callable[["torch.Tensor"], "torch.Tensor"]:
        """Return a differentiable function from coordinates (s, c) to weights (s, d), in float32.

        Parameters
        ----------
        matrix
            Weights of the zoo.
        device
            Where to compute.
        """

    @abstractmethod
    def gaussian_of_weights(self, matrix: "WeightMatrix", std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the Gaussian distribution of coordinates of networks with independent weights N(0, std^2).

        Parameters
        ----------
        matrix
            Weights of the zoo.
        std
            Standard deviation of each weight, (d,).

        Returns
        -------
        mean
            (c,).
        factor
            F with covariance F'F, (c, c); the standard deviations, (c,), if the covariance is diagonal.
        """

    @abstractmethod
    def distances_to_training(self, products: GeneratedProducts) -> np.ndarray:
        """Return distances (k, n) of generated networks to training networks within the subspace."""

    @abstractmethod
    def nearest_distances(
        self, trajectories: np.ndarray, between_weights: tuple[float, float]
    ) -> tuple[float, float]:
        """Return mean distances to the nearest training network of another trajectory, within the subspace.

        Parameters
        ----------
        trajectories
            The training run of each training network, (n,).
        between_weights
            The same two distances in all of weight space.

        Returns
        -------
        The mean over training networks and the mean over held-out networks; NaN if there are none.
        """

    def save(self, path: Path) -> None:
        """Write the basis to an npz file, atomically."""
        save_record(path, self)

    @classmethod
    def load(cls, path: Path) -> "Basis":
        """Read a basis that `save` wrote."""
        stored = load_record(path, ReducedBasis)
        return RawBasis(**vars(stored)) if stored.raw else stored


class ReducedBasis(Basis):
    """A subspace of k components: the point z is the network ``mean + z @ decoder @ Xc``."""

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
    """All of weight space: a point consists of coefficients of the training rows.

    The arrays of the base class are empty, except for ``variances``, which holds the total variance.
    """

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
    """Return the trivial basis, that of all of weight space.

    Parameters
    ----------
    gram
        Gram matrix (n + h, n + h), training rows first, all centred by the training mean.
    n_training
        The number of training networks, n.

    Returns
    -------
    The basis.

    Raises
    ------
    InputError
        If all training rows are equal.
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
    """Return the error for training rows that are all equal.

    Parameters
    ----------
    n_training
        Their number.

    Returns
    -------
    The error, to be raised.
    """
    return InputError(
        f"all {n_training} training networks are identical: their weights span no subspace; use "
        "different seeds"
    )


def _training_rows(matrix: "WeightMatrix") -> tuple[np.ndarray, np.ndarray]:
    """Return the training networks' weights (n, d) and their mean (d,)."""
    rows = matrix.read()[: matrix.n_training]
    return rows, rows.mean(axis=0, dtype=np.float64)


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Imported here: the import takes most of a second, and reading a basis does not need it.
    from scipy.spatial.distance import cdist

    distances: np.ndarray = cdist(x, y)
    return distances


def _tensors(device: "torch.device", *arrays: np.ndarray) -> list["torch.Tensor"]:
    # Imported here: computing a basis does not need PyTorch.
    import torch

    return [torch.from_numpy(array).float().to(device) for array in arrays]
