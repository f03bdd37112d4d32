"""Steering a flow by the loss of the networks that it is at (Erdogan 2025, arXiv 2504.03710)."""

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
    """v(t, x) - lambda grad_x L, with the loss L of the networks at x on some training examples, and of the
    gradient the part tangent to the manifold.

    Gradients are with respect to latents, which have unit variance, each network's by itself.

    Parameters
    ----------
    decode
        Returns the networks (n, d) at latents (n, k), differentiably.
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
        """Return the gradient of every network's loss on examples drawn anew, (n, k)."""
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
    """Return what makes networks (n, d) of a flow's latents (n, k)."""

    def relative() -> Decoder:
        decode = basis.network_decoder(matrix, device)
        return lambda points: decode(model.coordinates(points))

    return model.form.decoder(relative)
