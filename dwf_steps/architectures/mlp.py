"""Multilayer perceptrons."""

from collections.abc import Callable, Iterator
from itertools import islice, pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.random_draws import seeded
from dwf_steps.config.architectures.base import Activation, Initialisation
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.spec import PermutationSpec, Rescaling, RescalingSpec

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
}


class MLP(nn.Module):
    """A multilayer perceptron; inputs (b, ...) are flattened, outputs are logits (b, classes)."""

    def __init__(self, widths: list[int], activation: Activation) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(fan_in, fan_out) for fan_in, fan_out in pairwise(widths))
        self.activation = ACTIVATIONS[activation]

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = inputs.flatten(1)
        for layer in self.layers[:-1]:
            hidden = self.activation(layer(hidden))
        return self.layers[-1](hidden)


class MLPArchitecture(Architecture):
    """Multilayer perceptrons."""

    def __init__(self, config: MLPConfig) -> None:
        self.config: MLPConfig = config
        self.depth = len(config.widths) - 1
        self.layers = config.layers
        self.symmetries = tuple(config.symmetries)
        shapes: dict[str, tuple[int, ...]] = {}
        for i, (fan_in, fan_out) in enumerate(pairwise(config.widths)):
            shapes[f"layers.{i}.weight"] = (fan_out, fan_in)
            shapes[f"layers.{i}.bias"] = (fan_out,)
        self.layout = Layout.of(shapes)
        with seeded(0):  # leaves the global generator unchanged
            self._module = self.module()

    def module(self) -> MLP:
        return MLP(self.config.widths, self.config.activation)

    def call(self, network: NetworkState[Tensor], inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self._module, network, (inputs,))
        return outputs

    def initial_state(
        self, initialisation: Initialisation, generator: torch.Generator
    ) -> NetworkState[Tensor]:
        """Initialise one network.

        ``default`` is PyTorch's initialisation (weights and biases uniform in +-1/sqrt(fan_in)); ``he`` is
        uniform in +-sqrt(6/fan_in) (He et al. 2015, arXiv 1502.01852); ``xavier`` is normal with variance
        2/(fan_in + fan_out) (Glorot & Bengio 2010); ``uniform`` is U(-0.1, 0.1); ``normal`` is N(0, 0.1^2).
        Except for ``default``, biases are zero.
        """
        parameters = {e.name: torch.zeros(e.shape) for e in self.layout.entries}
        for i in range(self.depth):
            weight, bias = parameters[f"layers.{i}.weight"], parameters[f"layers.{i}.bias"]
            match initialisation:
                case "default":
                    bound = weight.shape[1] ** -0.5
                    weight.uniform_(-bound, bound, generator=generator)
                    bias.uniform_(-bound, bound, generator=generator)
                case "he":
                    nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
                case "xavier":
                    nn.init.xavier_normal_(weight, generator=generator)
                case "uniform":
                    weight.uniform_(-0.1, 0.1, generator=generator)
                case "normal":
                    weight.normal_(0.0, 0.1, generator=generator)
        return parameters

    def kaiming_std(self) -> dict[str, float]:
        """Return each parameter's initial standard deviation, sqrt(2/fan_in) for weights and 0 for biases.

        The formula is that of He et al. (2015, arXiv 1502.01852).
        """
        shapes = {entry.name: entry.shape for entry in self.layout.entries}
        return {name: (2 / shape[1]) ** 0.5 if len(shape) == 2 else 0.0 for name, shape in shapes.items()}

    def forward(
        self,
        networks: StackedNetworks[Tensor],
        inputs: Tensor,
        training: bool = False,  # noqa: ARG002
        channels_last: bool = False,  # noqa: ARG002
    ) -> Tensor:
        for layer in self._layers(networks, inputs):
            logits = layer
        return logits

    def hidden_layers(self, parameters: StackedNetworks[Tensor], inputs: Tensor) -> Iterator[Tensor]:
        """Yield the pre-activations (n, b, units) of each hidden layer, for arguments as in `forward`."""
        return islice(self._layers(parameters, inputs), self.depth - 1)

    def last_inputs(self, parameters: StackedNetworks[Tensor], inputs: Tensor) -> Tensor:
        """Return the inputs of the output layer, (n, b, units), for arguments as in `forward`."""
        seen = inputs.expand(parameters.count, *inputs.shape[-2:])
        for layer in self.hidden_layers(parameters, inputs):
            seen = ACTIVATIONS[self.config.activation](layer)
        return seen

    def _layers(self, parameters: StackedNetworks[Tensor], inputs: Tensor) -> Iterator[Tensor]:
        """Yield each layer's outputs before the activation."""
        activation = ACTIVATIONS[self.config.activation]
        layer = _first_layer(parameters["layers.0.weight"], parameters["layers.0.bias"], inputs)
        yield layer
        for i in range(1, self.depth):
            weight, bias = parameters[f"layers.{i}.weight"], parameters[f"layers.{i}.bias"]
            layer = torch.baddbmm(bias.unsqueeze(1), activation(layer), weight.transpose(1, 2))
            yield layer

    def permutation_spec(self) -> PermutationSpec:
        spec: PermutationSpec = {}
        for i in range(self.depth):
            units = f"hidden.{i}" if i < self.depth - 1 else None
            inputs = f"hidden.{i - 1}" if i > 0 else None
            spec[f"layers.{i}.weight"] = (units, inputs)
            spec[f"layers.{i}.bias"] = (units,)
        return spec

    def rescaling_spec(self) -> RescalingSpec:
        """Return the positive scaling symmetry of every hidden layer; only ReLU networks have any.

        Raises
        ------
        ValueError
            If the activation is not ReLU.
        """
        if self.config.activation != "relu":
            raise ValueError(f"{self.config.activation} networks have no scaling symmetry; ReLU ones have")
        return [
            Rescaling((f"layers.{i}.weight", f"layers.{i}.bias"), (f"layers.{i + 1}.weight",))
            for i in range(self.depth - 1)
        ]


def _first_layer(weight: Tensor, bias: Tensor, inputs: Tensor) -> Tensor:
    if inputs.dim() == 3:
        return torch.baddbmm(bias.unsqueeze(1), inputs, weight.transpose(1, 2))
    # Shared inputs: one large product instead of n small ones.
    n, units, features = weight.shape
    product = inputs @ weight.reshape(n * units, features).T
    return product.view(-1, n, units).transpose(0, 1) + bias.unsqueeze(1)
