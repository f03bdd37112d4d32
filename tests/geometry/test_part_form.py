"""A part of a row as coordinates: the rest is zero, and gradients reach the part."""

import numpy as np
import torch

from dwf_steps.geometry.form import PartForm


def test_points_are_the_columns_and_weights_put_them_back() -> None:
    form, rows = PartForm(np.array([1, 2, 5]), 7), np.random.default_rng(0).normal(size=(4, 7))
    points = form.points(rows)
    assert points.dtype == torch.float32
    np.testing.assert_allclose(points, rows[:, [1, 2, 5]], rtol=1e-6)
    weights = form.weights(points).numpy()
    np.testing.assert_array_equal(weights[:, [1, 2, 5]], points)
    assert (weights[:, [0, 3, 4, 6]] == 0).all()
    np.testing.assert_array_equal(form.state["columns"], [1, 2, 5])


def test_gradients_with_respect_to_points_are_those_of_their_columns() -> None:
    form, factors = PartForm(np.array([3, 0]), 4), torch.arange(1.0, 5.0)
    points = torch.zeros(2, 2, requires_grad=True)
    (form.weights(points) * factors).sum().backward()
    assert points.grad is not None
    assert points.grad.tolist() == [[4.0, 1.0]] * 2
