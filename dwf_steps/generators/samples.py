"""Samples: new networks, described relative to the training networks."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dwf_steps.storage.arrays import load_record, save_record
from dwf_steps.subspace.basis import Basis

ZOOS = "zoos"  # entry of a shard's manifest: the requested zoo of each network


@dataclass(frozen=True)
class Samples:
    """k new networks, or candidates for fewer.

    Row i is ``mean + coefficients[i] @ Xc + offsets[i] + noise_std * e_i`` for the centred training rows Xc
    (n, d) and standard normal e_i, so decoding streams column blocks. Most samples are affine combinations of
    training networks; ``offsets`` are used by flows on raw weights and generators that combine parts of
    networks, ``noise_std`` by noise controls.

    Attributes
    ----------
    latents
        Points in the subspace, (k, c), as the generator drew them; (k, 0) if it drew none.
    coefficients
        (k, n) float64; (k, n + h) if the samples are held-out networks.
    offsets
        (k, d) float32; (k, 0) if there are none.
    noise_std
        Standard deviation of the noise, in units of the weights or, if ``noise_relative``, of each weight's
        standard deviation over the training networks.
    noise_seed
        Seed of e.
    noise_relative
        Whether ``noise_std`` is relative.
    first
        Index of the first of these samples among all that were drawn.
    evaluations
        Evaluations of the velocity network that drew all samples.
    later_scale
        Multiplies the rows' deviations from ``mean`` in all layers but the first.
    candidates
        Number of consecutive rows that are drawn for each network.
    zoos
        The requested zoo of each sample, (k,), or (0,) if none is requested. ``later_scale`` then applies to
        deviations from this zoo's mean.
    """

    latents: np.ndarray
    coefficients: np.ndarray
    offsets: np.ndarray
    noise_std: float = 0.0
    noise_seed: int = 0
    noise_relative: bool = False
    first: int = 0
    evaluations: int = 0
    later_scale: float = 1.0
    candidates: int = 1
    zoos: np.ndarray = field(default_factory=lambda: np.empty(0, "<U1"))

    def __len__(self) -> int:
        return len(self.coefficients)

    @property
    def networks(self) -> int:
        """Number of networks."""
        return len(self) // self.candidates

    @property
    def names(self) -> list[str]:
        """Names of the samples' networks."""
        return sample_names(self.networks, self.first // self.candidates)

    @property
    def asked(self) -> list[str | None]:
        """The requested zoo of each network; None if none is requested."""
        return self.zoos[:: self.candidates].tolist() if len(self.zoos) else [None] * self.networks

    @property
    def facts(self) -> dict[str, Any]:
        """Entries for a manifest of their networks: evaluations, and the requested zoos if there are any."""
        asked = dict(zip(self.names, self.asked, strict=True))
        return {"evaluations": self.evaluations} | ({ZOOS: asked} if len(self.zoos) else {})

    def part(self, part: int, parts: int) -> "Samples":
        """Return part ``part`` of ``parts``, split by network."""
        start, stop = (self.networks * k // parts * self.candidates for k in (part, part + 1))
        arrays = {
            name: getattr(self, name)[start:stop] for name in ("latents", "coefficients", "offsets", "zoos")
        }
        return replace(self, **arrays, first=self.first + start)

    @classmethod
    def from_latents(cls, latents: np.ndarray, basis: Basis) -> "Samples":
        """Return the samples at points ``latents`` (k, c) of a subspace."""
        offsets = np.empty((len(latents), 0), np.float32)
        return cls(latents, basis.coefficients(latents), offsets)

    def save(self, path: Path) -> None:
        """Write as npz, atomically."""
        save_record(path, self)

    @classmethod
    def load(cls, path: Path) -> "Samples":
        """Read what `save` wrote."""
        return load_record(path, cls)


def sample_names(count: int, first: int = 0) -> list[str]:
    """Name samples by their index.

    Parameters
    ----------
    count
        Number of samples.
    first
        Index of the first.

    Returns
    -------
    The names, ``sample-{first}`` to ``sample-{first + count - 1}``.
    """
    return [f"sample-{i}" for i in range(first, first + count)]
