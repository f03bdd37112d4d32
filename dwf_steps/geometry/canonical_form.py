"""Networks as points of a product of spheres, and back (Erdogan 2025, arXiv 2504.03710)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from dwf_steps.geometry.form import Decoder, Form, OverUnits
from dwf_steps.geometry.product import ProductManifold, Spheres
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.symmetry.rescaling import rescale, scaled_incoming
from dwf_steps.symmetry.spec import RescalingSpec


@dataclass(frozen=True)
class CanonicalForm(Form):
    """Coordinates of ReLU networks on a product of spheres.

    - The incoming weights of each hidden unit are a point on a sphere. Its bias is divided by the same norm,
      and its outgoing weights are multiplied by it.
    - The last layer's weights together are a point on a sphere. Its bias is divided by the same norm.
    - Biases are Euclidean, in units of their standard deviation over the training networks, and so are the
      scale factors of batch norm, most of which become 1 or -1. Running statistics are not part of the
      coordinates and have to be recomputed.

    The scales of hidden units are a symmetry, so that dividing by them preserves the function. The scale of
    the last layer is not: dividing by it changes all logits of a network by the same factor, which preserves
    the predicted classes. `weights` restores the geometric mean over the training networks of every scale, so
    that losses, distances and the steps of further training are comparable.

    Attributes
    ----------
    layout
        Positions of the parameters in a row of d weights.
    spec
        The scaling symmetry of the hidden units.
    shift, scale
        Mean and standard deviation of the Euclidean coordinates, (d,); 0 and 1 for all others.
    factors
        Factors by which `weights` restores the scales, (d,).
    """

    layout: Layout
    spec: RescalingSpec
    shift: np.ndarray
    scale: np.ndarray
    factors: np.ndarray

    @classmethod
    def of(cls, layout: Layout, spec: RescalingSpec, rows: np.ndarray) -> "CanonicalForm":
        """Fit the form to the weights ``rows`` (n, d) of the training networks."""
        ones = np.ones(layout.size)
        plain = cls(layout, spec, np.zeros(layout.size), ones, ones)
        points, norms, last_norms = plain._normalized(rows)
        flat = plain.manifold.euclidean(layout.size).numpy()
        spread = np.where(flat, points.std(axis=0), 1.0)
        mean, scale = np.where(flat, points.mean(axis=0), 0.0), np.where(spread > 0, spread, 1.0)
        again = layout.unflatten(ones[None])
        for units, own in zip(spec, norms, strict=True):
            again = rescale(again, units, np.exp(-np.log(own).mean(axis=0, keepdims=True)))
        for name in plain._last:
            again[name] = again[name] * np.exp(np.log(last_norms).mean())
        factors = np.concatenate([again[entry.name].ravel() for entry in layout.entries])
        return cls(layout, spec, mean, scale, factors)

    @cached_property
    def manifold(self) -> ProductManifold:
        """The manifold of the coordinates."""
        last, directions = self._last[0], {units.incoming[0] for units in self.spec}
        spheres = []
        for entry in self.layout.entries:
            if entry.name == last:
                spheres.append(Spheres(entry.offset, 1, entry.size))
            elif entry.name in directions and len(entry.shape) > 1:
                spheres.append(Spheres(entry.offset, entry.shape[0], entry.size // entry.shape[0]))
        return ProductManifold(spheres)

    def points(self, rows: np.ndarray) -> torch.Tensor:
        """Return the coordinates (n, d) float32 of networks with weights ``rows`` (n, d)."""
        coordinates = (self._normalized(rows)[0] - self.shift) / self.scale
        return self.manifold.project(torch.from_numpy(coordinates)).float()

    def weights(self, points: torch.Tensor) -> torch.Tensor:
        """Return the weights (n, d) of networks with these coordinates, differentiably.

        Points that are not on the manifold are projected to it first.
        """
        scale, shift, factors = (
            torch.tensor(array).to(points) for array in (self.scale, self.shift, self.factors)
        )
        for s in self.manifold.spheres:
            scale[s.columns] /= s.radius
        return (self.manifold.project(points) * scale + shift) * factors

    def decoder(self, relative: Callable[[], Decoder]) -> Decoder:  # noqa: ARG002
        return self.weights

    def resized_to(
        self, layout: Layout, spec: Callable[[], RescalingSpec], over_units: OverUnits
    ) -> "CanonicalForm":
        shift, scale = over_units(self.shift, self.scale)
        logarithms, _ = over_units(np.log(self.factors), np.zeros_like(self.factors))
        return CanonicalForm(layout, spec(), shift, scale, np.exp(logarithms))

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        return {"shift": self.shift, "scale": self.scale, "factors": self.factors}

    def _normalized(self, rows: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """Return normalised rows (n, d), each layer's norms (n, units) and the last layers' norms (n,)."""
        networks, norms = scaled_incoming(self.layout.unflatten(rows.astype(np.float64)), self.spec)
        last_norms = np.linalg.norm(networks[self._last[0]].reshape(len(rows), -1), axis=1)
        last_norms = np.where(last_norms > 0, last_norms, 1.0)
        flat = networks.map(lambda array: array.reshape(len(rows), -1))
        parts = [
            flat[entry.name] / last_norms[:, None] if entry.name in self._last else flat[entry.name]
            for entry in self.layout.entries
        ]
        return np.concatenate(parts, axis=1), norms, last_norms

    @cached_property
    def _last(self) -> tuple[str, ...]:
        """The names of the last layer's weight and, if it has one, its bias."""
        directions = {units.incoming[0] for units in self.spec}
        ends = {name for units in self.spec for name in units.outgoing} - directions
        if len(ends) != 1:
            raise InputError(
                f"the scaling symmetry names {sorted(ends)} as weights after the last hidden units, "
                "expected one"
            )
        (weight,) = ends
        bias = f"{weight.removesuffix('weight')}bias"
        return (weight, *(entry.name for entry in self.layout.entries if entry.name == bias))
