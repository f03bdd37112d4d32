"""Flat space answers what a product without spheres answers, and keeps points as they were given."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dwf_steps.geometry.euclidean import EUCLIDEAN
from dwf_steps.geometry.form import IDENTITY
from dwf_steps.geometry.manifold import Manifold
from dwf_steps.geometry.product import ProductManifold

DRAWS = torch.Generator().manual_seed(0)
X, Y, V = (torch.randn(6, 5, generator=DRAWS).double() for _ in range(3))
T = torch.rand(6, 1, generator=DRAWS).double()

ANSWERS: dict[str, Callable[[Manifold], Tensor]] = {
    "project": lambda m: m.project(X),
    "tangent": lambda m: m.tangent(X, V),
    "exp": lambda m: m.exp(X, V),
    "log": lambda m: m.log(X, Y),
    "points": lambda m: m.path(X, Y, T)[0],
    "velocities": lambda m: m.path(X, Y, T)[1],
    "distance": lambda m: m.distance(X, Y),
    "squared_distances": lambda m: m.squared_distances(X, Y),
    "uniform": lambda m: m.uniform(X),
    "log_volume": lambda m: torch.tensor(m.log_volume(), dtype=torch.float64),
    "euclidean": lambda m: m.euclidean(5),
    "perturbed points": lambda m: m.perturb(X.clone(), V, Y, 0.3)[0],
    "perturbed velocities": lambda m: m.perturb(X.clone(), V, Y, 0.3)[1],
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_flat_space_is_a_product_without_spheres(answer: str) -> None:
    found, expected = (ANSWERS[answer](manifold) for manifold in (EUCLIDEAN, ProductManifold([])))
    torch.testing.assert_close(found, expected)


def test_it_is_known_by_textbook_formulas() -> None:
    torch.testing.assert_close(EUCLIDEAN.exp(X, EUCLIDEAN.log(X, Y)), Y)
    torch.testing.assert_close(EUCLIDEAN.distance(X, Y), (X - Y).square().sum(1).sqrt())
    every = (X[:, None] - Y[None]).square().sum(2)
    torch.testing.assert_close(EUCLIDEAN.squared_distances(X, Y), every)
    assert EUCLIDEAN.flat and not ProductManifold([]).flat
    assert EUCLIDEAN.log_volume() == 0


def test_rows_are_their_own_identity_form() -> None:
    rows = X.numpy()
    assert IDENTITY.manifold is EUCLIDEAN
    assert IDENTITY.points(rows).dtype == torch.float32
    np.testing.assert_array_equal(IDENTITY.points(rows).numpy(), rows.astype(np.float32))
    assert IDENTITY.weights(X) is X
    assert IDENTITY.state == {}
    assert IDENTITY.decoder(lambda: lambda points: 2 * points)(X).equal(2 * X)
