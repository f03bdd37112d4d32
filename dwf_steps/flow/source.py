"""Where a flow starts: a Gaussian over latents."""

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

SINGULAR = 1e-6  # of the largest singular value, below which a float32 factor counts as singular


@dataclass(frozen=True)
class Source:
    """The Gaussian with ``mean`` (k,) and covariance std^2 F'F for ``factor`` F, both in float32.

    On a manifold with spheres the source is uniform on these, and normal in the Euclidean columns alone.

    Attributes
    ----------
    mean
        (k,), or a single number for all coordinates.
    factor
        (k, k), or (k,) for a diagonal, or a single number.
    std
        Factor of the deviation; the mean stays.
    manifold
        On which the points are.
    """

    mean: Tensor = field(default_factory=lambda: torch.tensor(0.0))
    factor: Tensor = field(default_factory=lambda: torch.tensor(1.0))
    std: float = 1.0
    manifold: Manifold = EUCLIDEAN

    def __post_init__(self) -> None:
        if not self.manifold.flat and (self.mean.dim() or self.factor.dim()):
            raise ValueError(
                "a source whose coordinates differ in mean or covariance starts in flat space; found one on "
                "spheres, where the source is uniform"
            )

    def at(self, noise: Tensor) -> Tensor:
        """Return mean + noise F, the points (n, k) of R^k that normal ``noise`` (n, k) stands for."""
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
        """Draw points (n, k) of the manifold, with ``temperature`` times the standard deviation.

        Parameters
        ----------
        partners
            (n,), which target each point belongs to; plays a part where the source is paired.
        """
        noise = torch.randn(n, k, generator=generator).mul_(self.std * temperature)
        return self.manifold.uniform(self.at(noise).to(device or noise.device))

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-densities of points ``x`` (n, k) of the manifold, in nats, (n,): normal in Euclidean
        columns, uniform on spheres, with respect to the manifold's volume.

        Raises
        ------
        InputError
            If the source lies in fewer than k dimensions, and so has no density.
        """
        flat = self.manifold.euclidean(x.shape[1]).to(x.device)
        whitened, log_factor = self._whitened(x[:, flat])
        d = whitened.shape[1]
        normal = -0.5 * (whitened / self.std).square().sum(1) - (
            d * (math.log(self.std) + 0.5 * math.log(2 * math.pi)) + log_factor
        )
        return normal.to(x) - self.manifold.log_volume()

    def _whitened(self, x: Tensor) -> tuple[Tensor, float]:
        """Return the noise (n, d) that `at` takes to ``x`` (n, d), and log |det F|."""
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
            f"source: its points vary in {rank} of {d} directions alone, and so have no density (untrained "
            "networks all have the same biases, zero); use a subspace of method 'dual_pca' with fewer "
            "components than weights, or source: 'standard'"
        )


@dataclass(frozen=True)
class PairedSource(Source):
    """Points each of which belongs to one target, such as initialised networks to trained ones.

    Attributes
    ----------
    mean
        (k,), from which points deviate ``std`` times as far as they do by themselves.
    starts
        (n, k), one for each target.
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
        """Return the starts (n, k) of the targets ``partners`` (n,): nothing is drawn."""
        if partners is None or len(partners) != n or self.starts.shape[1] != k:
            raise ValueError(
                f"a paired source has {tuple(self.starts.shape)} starts; asked for {n} of dimension {k}, of "
                f"which it must know whose they are"
            )
        deviations = self.starts[partners.to(self.starts.device)] - self.mean
        return (self.mean + self.std * temperature * deviations).to(device or generator.device)

    def log_density(self, x: Tensor) -> Tensor:  # noqa: ARG002
        raise InputError("source 'initialisation' is a set of points without a density; use 'standard'")


STANDARD = Source()


def kaiming_source(
    basis: Basis, matrix: WeightMatrix, std: np.ndarray, shift: np.ndarray, scale: np.ndarray
) -> Source:
    """Return the distribution of initialised networks as latents.

    Weights are independent, N(0, std^2) (He et al. 2015), and latents are affine in them; so the source is
    Gaussian, and its mean and covariance follow in one pass over the weight matrix.

    Parameters
    ----------
    std
        (d,), of each initial weight; 0 where it starts at zero.
    shift, scale
        A latent times ``scale`` plus ``shift`` is a coordinate of the subspace, or a weight relative to the
        training mean; numbers, or (d,).
    """
    mean, factor = basis.gaussian_of_weights(matrix, std)
    return Source(torch.from_numpy((mean - shift) / scale).float(), torch.from_numpy(factor / scale).float())
