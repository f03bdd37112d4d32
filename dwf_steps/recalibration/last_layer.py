"""Refitting the output layer by ridge regression."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.storage.stacked import StackedNetworks

TEMPERATURES = torch.logspace(-1, 3, 81, dtype=torch.float64)  # candidate factors of the outputs


@torch.no_grad()
def refit_last_layer(
    architecture: MLPArchitecture,
    networks: StackedNetworks[Tensor],
    inputs: Tensor,
    targets: Tensor,
    ridge: float,
) -> StackedNetworks[Tensor]:
    """Refit the output layer of n networks by ridge regression on one-hot targets.

    W and b minimise |H W' + b - Y|^2 + a |W|^2 for the last layer's inputs H (m, h) and one-hot targets Y;
    the intercept is not penalised; a is ``ridge`` times the mean over units of their summed squared
    deviations. Least squares yields scores rather than log-odds, so each network's outputs are multiplied by
    the factor, from a fixed grid, with the lowest cross-entropy on the same examples; this changes no
    predicted class.

    Parameters
    ----------
    architecture
        The networks' architecture.
    networks
        The n networks.
    inputs
        Training inputs, (m, features).
    targets
        Their classes, (m,).
    ridge
        Relative strength of the penalty.

    Returns
    -------
    The networks with new output layers.
    """
    hidden = architecture.last_inputs(networks, inputs).double()
    name = f"layers.{architecture.depth - 1}"
    classes = networks[f"{name}.bias"].shape[1]
    wanted = F.one_hot(targets, classes).double()
    hidden_mean, wanted_mean = hidden.mean(1, keepdim=True), wanted.mean(0)
    centred = hidden - hidden_mean
    gram = centred.transpose(1, 2) @ centred
    penalty = ridge * gram.diagonal(dim1=1, dim2=2).mean(1)
    # If all units are constant over the inputs, only the biases are learned.
    penalty = torch.where(penalty > 0, penalty, 1.0)
    system = gram + penalty[:, None, None] * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    weight = torch.linalg.solve_ex(system, centred.transpose(1, 2) @ (wanted - wanted_mean))[0].transpose(
        1, 2
    )
    bias = wanted_mean - (weight @ hidden_mean.transpose(1, 2)).squeeze(2)
    factor = _best_factor(hidden @ weight.transpose(1, 2) + bias[:, None], targets)
    refitted = {f"{name}.weight": weight * factor[:, None, None], f"{name}.bias": bias * factor[:, None]}
    return networks.replaced({key: value.to(networks[key].dtype) for key, value in refitted.items()})


def _best_factor(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the factor for outputs (n, b, classes) with the lowest cross-entropy, (n,)."""
    losses = [
        F.cross_entropy(
            (factor * outputs).transpose(1, 2), targets.expand(len(outputs), -1), reduction="none"
        ).mean(1)
        for factor in TEMPERATURES
    ]
    return TEMPERATURES.to(outputs.device)[torch.stack(losses).argmin(0)]
