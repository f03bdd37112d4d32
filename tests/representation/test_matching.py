"""What decoded responses should agree with, and how that is made a least squares problem."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.representation.matching import NextInputLoss, SoftmaxLoss

SHAPE = (3, 2, 40, 4)
ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "tanh": torch.tanh}


def drawn(seed: int, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights_of(loss: NextInputLoss, responses: Tensor, target: Tensor) -> Tensor:
    return loss.expand(responses, target)[1](torch.ones_like(responses))


def gradient_of(value: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    at = at.clone().requires_grad_()
    return torch.autograd.grad(value(at).sum(), at)[0]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.7, -0.4)])
def test_weights_are_squared_secant_slopes(name: str, scale: float, shift: float) -> None:
    """So that the reweighted squares are those of the activations: w (z - t)^2 = (a(z) - a(t))^2."""
    activation = ACTIVATIONS[name]
    loss = NextInputLoss(activation, scale, shift)
    responses, target = drawn(0), drawn(1)
    weights = weights_of(loss, responses, target)
    reached, wanted = (activation(scale * values + shift) for values in (responses, target))
    torch.testing.assert_close(weights, ((reached - wanted) / (responses - target)).square())
    squares = weights * (responses - target).square()
    torch.testing.assert_close(squares.sum((1, 2, 3)) / 2, loss.value(responses, target))
    gradient, _ = loss.expand(responses, target)
    torch.testing.assert_close(
        gradient, gradient_of(lambda z: weights * (z - target).square() / 2, responses)
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_close_to_the_target_the_reweighted_squares_have_the_gradient_of_the_loss(name: str) -> None:
    """A secant becomes a tangent; the difference is of second order."""
    target = drawn(1)
    loss = NextInputLoss(ACTIVATIONS[name], 1.3, 0.2)
    errors = []
    for size in (1e-2, 1e-3):
        responses = target + drawn(2, size)
        kink = (
            (1.3 * target + 0.2).abs() < 0.2 if name == "relu" else torch.zeros_like(target, dtype=torch.bool)
        )
        found, _ = loss.expand(responses, target)
        expected = gradient_of(lambda z: loss.value(z, target), responses)
        errors.append(float((found - expected)[~kink].abs().max()))
    if name == "relu":  # linear on either side of its kink
        assert max(errors) < 1e-12
    else:
        assert errors[1] < errors[0] / 50
        assert errors[0] < 1e-3


def test_relus_that_are_off_in_both_have_no_weight() -> None:
    loss = NextInputLoss(F.relu)
    responses, target = drawn(0), drawn(1)
    weights = weights_of(loss, responses, target)
    off = (responses < 0) & (target < 0)
    assert off.any()
    assert (weights[off] == 0).all()
    assert (weights[(responses > 0) & (target > 0)] - 1).abs().max() < 1e-12
    one = (responses < 0) != (target < 0)
    assert ((weights[one] > 0) & (weights[one] < 1)).all()


def test_responses_that_meet_the_target_are_at_rest() -> None:
    for loss in (*(NextInputLoss(activation) for activation in ACTIVATIONS.values()), SoftmaxLoss()):
        target = drawn(1)
        gradient, _ = loss.expand(target.clone(), target)
        assert (loss.value(target, target).abs() < 1e-10).all()
        assert (gradient.abs() < 1e-12).all()


def test_the_softmax_loss_is_the_divergence_with_its_own_gradient_and_hessian() -> None:
    responses, target = drawn(0), drawn(1)
    loss = SoftmaxLoss()
    expected = F.kl_div(
        responses.log_softmax(-1), target.log_softmax(-1), log_target=True, reduction="none"
    ).sum((1, 2, 3))
    torch.testing.assert_close(loss.value(responses, target), expected)
    gradient, curvature = loss.expand(responses, target)
    torch.testing.assert_close(gradient, gradient_of(lambda z: loss.value(z, target), responses))
    direction = drawn(3)
    _, product = torch.autograd.functional.hvp(lambda z: loss.value(z, target).sum(), responses, direction)
    torch.testing.assert_close(curvature(direction), product)
    assert ((direction * curvature(direction)).sum(-1) >= -1e-12).all()
