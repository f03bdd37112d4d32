"""Losses that steer a flow, as a user would bring them; all but the first with a mistake."""

from torch import Tensor


def confident(outputs: Tensor, _targets: Tensor) -> Tensor:
    return outputs.square().mean((1, 2))


def one_number(outputs: Tensor, _targets: Tensor) -> Tensor:
    return outputs.mean()


def no_gradient(outputs: Tensor, _targets: Tensor) -> Tensor:
    return outputs.detach().mean((1, 2))


def no_tensor(_outputs: Tensor, _targets: Tensor) -> float:
    return 0.5


def failing(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs @ targets


def other_arguments(outputs: Tensor) -> Tensor:
    return outputs
