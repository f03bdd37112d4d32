"""What every generator yields: new rows, described relative to the training rows."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dwf_steps.storage.arrays import load_record, save_record
from dwf_steps.subspace.basis import Basis

ZOOS = "zoos"  # the fact of a shard's manifest that says which zoo each network was asked for


@dataclass(frozen=True)
class Samples:
    """k new networks, or candidates for fewer.

    Row i is ``mean + coefficients[i] @ Xc + offsets[i] + noise_std * e_i`` with the centred training rows
    Xc (n, d) and standard normal e_i: an affine combination of training networks for all but flows on raw
    weights and what takes parts of networks (``offsets``), and the noise control (``noise_std``), so that
    decoding streams column blocks.

    Attributes
    ----------
    latents
        (k, c), the points in the subspace, as a generator drew them; (k, 0) where it drew none there.
    coefficients
        (k, n) float64; (k, n + h) where held-out networks themselves are the samples.
    offsets
        (k, d) float32, or (k, 0) where there are none.
    noise_std
        In units of the weights, or, where ``noise_relative``, of each weight's standard deviation over the
        training networks.
    noise_seed
        Decides e.
    first
        Number of the first of these samples among all that were drawn.
    evaluations
        Of the velocity field, that drew them all.
    later_scale
        Factor of the rows' deviation from ``mean`` in all layers but the first.
    candidates
        So many rows that follow one another are drawn for each network.
    zoos
        (k,), the zoo that each is asked for, or (0,) where none is. Its ``later_scale`` is then of the
        deviation from this zoo's mean.
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
        """The number of networks."""
        return len(self) // self.candidates

    @property
    def names(self) -> list[str]:
        """What the samples' networks are called."""
        return sample_names(self.networks, self.first // self.candidates)

    @property
    def asked(self) -> list[str | None]:
        """The zoo that each network is asked for; None where it is asked for none."""
        return self.zoos[:: self.candidates].tolist() if len(self.zoos) else [None] * self.networks

    @property
    def facts(self) -> dict[str, Any]:
        """What a manifest of their networks states: what drawing took, and which zoo each was asked for, if
        any was."""
        asked = dict(zip(self.names, self.asked, strict=True))
        return {"evaluations": self.evaluations} | ({ZOOS: asked} if len(self.zoos) else {})

    def part(self, part: int, parts: int) -> "Samples":
        """Return the ``part``-th of ``parts`` ranges of the networks' samples."""
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
    """Return what samples ``first`` to ``first + count - 1`` are called."""
    return [f"sample-{i}" for i in range(first, first + count)]
