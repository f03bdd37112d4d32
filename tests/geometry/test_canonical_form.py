"""Networks as points: what is kept of their functions, and that scaling them changes nothing."""

import numpy as np
import pytest
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.geometry.canonical_form import CanonicalForm

N = 5
WIDTHS = [[4, 6, 3], [4, 6, 5, 3]]


def networks(widths: list[int]) -> np.ndarray:
    size = build(MLPConfig(widths=widths)).layout.size
    return np.random.default_rng(0).normal(size=(N, size)).astype(np.float32)


def form(widths: list[int], rows: np.ndarray) -> CanonicalForm:
    architecture = build(MLPConfig(widths=widths))
    return CanonicalForm.of(architecture.layout, architecture.rescaling_spec(), rows)


def logits(widths: list[int], rows: np.ndarray, inputs: torch.Tensor) -> np.ndarray:
    architecture = build(MLPConfig(widths=widths))
    states = architecture.layout.unflatten(rows).map(lambda v: torch.from_numpy(v).double())
    return architecture.forward(states, inputs.double()).numpy()


@pytest.mark.parametrize("widths", WIDTHS)
def test_logits_come_back_up_to_one_factor_a_network(widths: list[int]) -> None:
    rows, inputs = networks(widths), torch.randn(50, 4)
    own = form(widths, rows)
    before, after = (
        logits(widths, x, inputs) for x in (rows, own.weights(own.points(rows).double()).numpy())
    )
    factors = (before * after).sum((1, 2)) / np.square(before).sum((1, 2))
    np.testing.assert_allclose(after, before * factors[:, None, None], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(after.argmax(-1), before.argmax(-1))
    assert np.log(factors).mean() == pytest.approx(0, abs=1e-5)  # the mean scale is kept


@pytest.mark.parametrize("widths", WIDTHS)
def test_points_lie_on_the_manifold_with_unit_variance(widths: list[int]) -> None:
    rows = networks(widths)
    own = form(widths, rows)
    points = own.points(rows)
    torch.testing.assert_close(own.manifold.project(points), points)
    flat = own.manifold.euclidean(rows.shape[1])
    assert flat.sum() == sum(widths[1:])  # the biases
    np.testing.assert_allclose(points[:, flat].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(points[:, flat].std(0, correction=0), 1, rtol=1e-4)
    assert [s.count for s in own.manifold.spheres] == [*widths[1:-1], 1]


@pytest.mark.parametrize("widths", WIDTHS)
def test_scaled_networks_are_the_same_point(widths: list[int]) -> None:
    rows = networks(widths)
    own, layout = form(widths, rows), build(MLPConfig(widths=widths)).layout
    draws = np.random.default_rng(1)
    states = layout.unflatten(rows.astype(np.float64)).map(lambda array: array.copy())
    for i in range(len(widths) - 2):
        factor = draws.uniform(0.2, 5, size=(N, widths[i + 1]))
        states[f"layers.{i}.weight"] *= factor[:, :, None]
        states[f"layers.{i}.bias"] *= factor
        states[f"layers.{i + 1}.weight"] /= factor[:, None, :]
    last = f"layers.{len(widths) - 2}"
    for kind in ("weight", "bias"):
        states[f"{last}.{kind}"] *= 7
    scaled = np.concatenate([states[entry.name].reshape(N, -1) for entry in layout.entries], axis=1)
    torch.testing.assert_close(own.points(scaled), own.points(rows), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("widths", WIDTHS)
def test_networks_come_back_with_the_mean_scale_of_every_unit(widths: list[int]) -> None:
    rows = networks(widths)
    own, layout = form(widths, rows), build(MLPConfig(widths=widths)).layout
    back = layout.unflatten(own.weights(own.points(rows).double()).numpy())
    before = layout.unflatten(rows)
    norms, found = (np.linalg.norm(state["layers.0.weight"], axis=2) for state in (before, back))
    np.testing.assert_allclose(found, np.exp(np.log(norms).mean(0))[None].repeat(N, 0), rtol=1e-5)
    # Networks that differ in nothing but scales become the same, and none of them moves if all are alike.
    same = np.repeat(rows[:1], N, axis=0)
    alike = form(widths, same)
    torch.testing.assert_close(
        alike.weights(alike.points(same)), torch.from_numpy(same), rtol=1e-4, atol=1e-5
    )


def test_units_and_last_layers_of_zeros_stay_finite() -> None:
    rows = networks([4, 6, 3])
    rows[0] = 0
    rows[1, :4] = 0
    own = form([4, 6, 3], rows)
    assert own.points(rows).isfinite().all()
    assert own.weights(own.points(rows)).isfinite().all()


def images(kind: str) -> tuple[Architecture, np.ndarray]:
    """Return an architecture for images, and networks of it, as rows."""
    architecture = build(
        ModuleConfig.model_validate({"import": "own_networks:ReluCNN", "shape": [3, 8, 8], "classes": 3})
        if kind == "convolutional"
        else ResNetConfig(kind="resnet20", width_multiplier=0.125, image_size=8, classes=3)
    )
    draws = np.random.default_rng(0)
    return architecture, draws.normal(size=(N, architecture.layout.size)).astype(np.float32)


def classes_of(architecture: Architecture, rows: np.ndarray) -> np.ndarray:
    """Return logits (n, m, classes) with statistics of the very batch, so that none need be known."""
    states = architecture.layout.unflatten(rows).map(lambda v: torch.from_numpy(v).double())
    shapes = architecture.shapes
    buffers = {name: torch.zeros(len(rows), *shapes[name]).double() for name in architecture.buffers}
    inputs = torch.from_numpy(np.random.default_rng(1).normal(size=(20, 3 * 8 * 8)))
    return architecture.forward(states.replaced(buffers), inputs, training=True).detach().numpy()


@pytest.mark.parametrize("kind", ["convolutional", "residual"])
def test_networks_for_images_keep_their_classes(kind: str) -> None:
    architecture, rows = images(kind)
    own = CanonicalForm.of(architecture.layout, architecture.rescaling_spec(), rows)
    points = own.points(rows)
    torch.testing.assert_close(own.manifold.project(points), points)
    before, after = (classes_of(architecture, x) for x in (rows, own.weights(points.double()).numpy()))
    factors = (before * after).sum((1, 2)) / np.square(before).sum((1, 2))
    np.testing.assert_allclose(after, before * factors[:, None, None], rtol=1e-3, atol=1e-3)
    assert (factors > 0).all()
    filters = sum(entry.shape[0] for entry in architecture.layout.entries if len(entry.shape) == 4)
    assert sum(s.count for s in own.manifold.spheres) == filters + 1
