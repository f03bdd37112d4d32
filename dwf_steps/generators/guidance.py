"""Guidance of a flow by the loss of its networks (Erdogan 2025, arXiv 2504.03710)."""

from collections.abc import Callable

import torch
from torch import Tensor

from dwf_steps.config.generators.flow_sampling import Guidance
from dwf_steps.datasets.splits import Split
from dwf_steps.flow.fields import VelocityField
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.generators.flow import FlowModel
from dwf_steps.geometry.form import Decoder
from dwf_steps.runtime.plugins import find_callable
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.subspace.basis import Basis
from dwf_steps.tasks import task_of


class GuidedField:
    """v(t, x) - lambda grad_x L for the loss L of the networks at x on a batch of training examples.

    The gradient is each network's, with respect to its latents, which have unit variance, and is projected to
    the manifold's tangent space.

    Parameters
    ----------
    field
        The flow's velocity field.
    network
        The networks' layout and architecture.
    decode
        Maps latents (n, k) to networks (n, d), differentiably.
    train
        Training examples.
    guidance
        lambda, the batch size, and the loss.
    seed
        Seed of the batches.
    """

    def __init__(
        self,
        field: VelocityField,
        network: NetworkSpec,
        decode: Decoder,
        train: Split,
        guidance: Guidance,
        seed: int,
    ) -> None:
        self._field, self._network, self._decode, self._train = field, network, decode, train
        self._guidance, self._draws = guidance, torch_generator("guidance", seed)
        self._objective = _objective(guidance, train)

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        """Return velocities (n, k) at times (n, 1) and latents (n, k)."""
        gradient = self._field.manifold.tangent(x, self.gradient(x))
        return self._field(t, x) - self._guidance.scale * gradient

    def gradient(self, x: Tensor) -> Tensor:
        """Return the gradient of each network's loss on a fresh batch of examples, (n, k)."""
        size = min(self._guidance.batch_size, len(self._train))
        chosen = torch.randperm(len(self._train), generator=self._draws)[:size].numpy()
        inputs = torch.from_numpy(self._train.inputs[chosen]).to(x.device)
        targets = torch.from_numpy(self._train.targets[chosen]).to(x.device)
        with torch.enable_grad():
            points = x.detach().requires_grad_()
            outputs = self._network.architecture.forward(self._networks(points), inputs)
            (gradient,) = torch.autograd.grad(self._objective(outputs, targets).sum(), points)
        return gradient

    def _networks(self, points: Tensor) -> StackedNetworks[Tensor]:
        rows = self._decode(points)
        entries = self._network.layout.entries
        return StackedNetworks({e.name: rows[:, e.columns].unflatten(1, e.shape) for e in entries})


def _objective(guidance: Guidance, train: Split) -> Callable[[Tensor, Tensor], Tensor]:
    if guidance.objective is not None:
        return find_callable(guidance.objective, "sampling.guidance.objective")
    task = task_of(train.task, train.tolerance, train.scale)
    return lambda outputs, targets: task.losses(outputs, targets).mean(1)


def decoder_of(model: FlowModel, basis: Basis, matrix: WeightMatrix, device: torch.device) -> Decoder:
    """Build the function that decodes a flow's latents into networks.

    Parameters
    ----------
    model
        The fitted flow.
    basis
        The subspace.
    matrix
        The zoo's weights.
    device
        Where networks are decoded.

    Returns
    -------
    A differentiable function from latents (n, k) to weights (n, d).
    """

    def relative() -> Decoder:
        decode = basis.network_decoder(matrix, device)
        return lambda points: decode(model.coordinates(points))

    return model.form.decoder(relative)
