"""Source distributions of flows: Gaussians over latents, and sets of starting points."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dwf_steps.geometry.euclidean import EUCLIDEAN
from dwf_steps.geometry.manifold import Manifold
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis

SINGULAR = 1e-6  # relative to the largest singular value; smaller ones of a float32 factor count as zero


@dataclass(frozen=True)
class Source:
    """A Gaussian with ``mean`` m and covariance std^2 F'F for ``factor`` F.

    On a manifold with spheres the source is uniform on the spheres, and normal in the Euclidean columns only.

    Attributes
    ----------
    mean
        (k,) float32, or a number for all coordinates.
    factor
        (k, k) float32; (k,) for a diagonal, or a number.
    std
        Multiplies deviations from the mean.
    manifold
        The space of the points.
    """

    mean: Tensor = field(default_factory=lambda: torch.tensor(0.0))
    factor: Tensor = field(default_factory=lambda: torch.tensor(1.0))
    std: float = 1.0
    manifold: Manifold = EUCLIDEAN

    def __post_init__(self) -> None:
        if not self.manifold.flat and (self.mean.dim() or self.factor.dim()):
            raise ValueError(
                "a source whose coordinates differ in mean or covariance needs flat space; found a manifold "
                "with spheres, where the source is uniform"
            )

    def at(self, noise: Tensor) -> Tensor:
        """Map standard normal noise (n, k) to the points mean + noise F, (n, k)."""
        return self.mean + (noise @ self.factor if self.factor.dim() == 2 else noise * self.factor)

    def draw(
        self,
        n: int,
        k: int,
        generator: torch.Generator,
        temperature: float = 1.0,
        device: torch.device | None = None,
        partners: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Draw points (n, k) of the manifold.

        Parameters
        ----------
        n
            Number of points.
        k
            Number of latents.
        generator
            Source of the random draws.
        temperature
            Multiplies the standard deviation.
        device
            Where the points are placed; by default the generator's.
        partners
            Index of the target that each point belongs to, (n,); only a `PairedSource` uses it.
        """
        noise = torch.randn(n, k, generator=generator).mul_(self.std * temperature)
        return self.manifold.uniform(self.at(noise).to(device or noise.device))

    def log_density(self, x: Tensor) -> Tensor:
        """Compute the log-densities of points of the manifold.

        The density is normal in Euclidean columns, uniform on spheres, and with respect to the manifold's
        volume.

        Parameters
        ----------
        x
            Points, (n, k).

        Returns
        -------
        Log-densities in nats, (n,).

        Raises
        ------
        InputError
            If the source has no density because its points lie in a subspace.
        """
        flat = self.manifold.euclidean(x.shape[1]).to(x.device)
        whitened, log_factor = self._whitened(x[:, flat])
        d = whitened.shape[1]
        normal = -0.5 * (whitened / self.std).square().sum(1) - (
            d * (math.log(self.std) + 0.5 * math.log(2 * math.pi)) + log_factor
        )
        return normal.to(x) - self.manifold.log_volume()

    def _whitened(self, x: Tensor) -> tuple[Tensor, float]:
        """Return the noise (n, d) that `at` maps to ``x`` (n, d), and log |det F|."""
        centred, factor, d = x - self.mean.to(x), self.factor.to(x), x.shape[1]
        if factor.dim() < 2:
            deviations = factor.double().abs()
            _require_density(int((deviations > 0).expand(d).sum()), d)
            return centred / factor, float(deviations.log().expand(d).sum())
        exact = factor.double()  # its singular values may span many orders of magnitude
        singular = torch.linalg.svdvals(exact)
        _require_density(int((singular > SINGULAR * singular[0]).sum()), d)
        noise = torch.linalg.solve(exact, centred.double(), left=False)
        return noise, float(singular.log().sum())


def _require_density(rank: int, d: int) -> None:
    if rank < d:
        raise InputError(
            f"source: its points vary in only {rank} of {d} directions and so have no density (the biases of "
            "untrained networks are all zero); use a subspace of method 'dual_pca' with fewer "
            "components than weights, or source: 'standard'"
        )


@dataclass(frozen=True)
class PairedSource(Source):
    """Starting points that each belong to one target, such as initialised networks to trained ones.

    Attributes
    ----------
    mean
        (k,); the starts' deviations from it are multiplied by ``std``.
    starts
        The starting point of each target, (n, k).
    """

    starts: Tensor = field(default_factory=lambda: torch.empty(0, 0))

    def draw(
        self,
        n: int,
        k: int,
        generator: torch.Generator,
        temperature: float = 1.0,
        device: torch.device | None = None,
        partners: Tensor | None = None,
    ) -> Tensor:
        """Return the starting points (n, k) of the targets ``partners`` (n,); nothing is drawn."""
        if partners is None or len(partners) != n or self.starts.shape[1] != k:
            raise ValueError(
                f"a paired source has {tuple(self.starts.shape)} starts; asked for {n} of dimension {k}, "
                f"expected the same dimension and the index of a target for each"
            )
        deviations = self.starts[partners.to(self.starts.device)] - self.mean
        return (self.mean + self.std * temperature * deviations).to(device or generator.device)

    def log_density(self, x: Tensor) -> Tensor:  # noqa: ARG002
        raise InputError("source 'initialisation' is a set of points without a density; use 'standard'")


STANDARD = Source()


def kaiming_source(
    basis: Basis, matrix: WeightMatrix, std: np.ndarray, shift: np.ndarray, scale: np.ndarray
) -> Source:
    """Compute the distribution of initialised networks' latents.

    Initial weights are independent, N(0, std^2) (He et al. 2015, arXiv 1502.01852), and latents are affine in
    them, so the source is Gaussian; its mean and covariance follow from one pass over the weight matrix.

    Parameters
    ----------
    basis
        Maps weights to coordinates of the subspace.
    matrix
        The zoo's weights.
    std
        Standard deviation of each initial weight, (d,); 0 if it is initialised at zero.
    shift, scale
        Latents are (c - ``shift``) / ``scale`` for coordinates c of the subspace, or weights c relative to
        the training mean; numbers, or one for each latent.

    Returns
    -------
    The source.
    """
    mean, factor = basis.gaussian_of_weights(matrix, std)
    return Source(torch.from_numpy((mean - shift) / scale).float(), torch.from_numpy(factor / scale).float())
