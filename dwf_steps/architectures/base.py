"""What the workflow needs to know of a family of networks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dwf_steps.config.architecture import Initialisation, MLPConfig, ModuleConfig, ViTConfig
from dwf_steps.storage.layout import Layout
from dwf_steps.symmetry.spec import Attention, PermutationSpec, RescalingSpec


class Architecture(ABC):
    """One architecture: builds its module, draws initial weights, runs many networks at once, and states its
    symmetries as data.

    Attributes
    ----------
    config
        What describes it; written into every network's file.
    layout
        Its parameters, in the order of the state dict.
    layers
        How many values each layer says of one input.
    """

    config: MLPConfig | ViTConfig | ModuleConfig
    layout: Layout
    layers: tuple[int, ...]

    @abstractmethod
    def module(self) -> nn.Module:
        """Return an untrained module with the same ``state_dict`` keys."""

    @abstractmethod
    def initial_parameters(
        self, initialisation: Initialisation, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Draw the first weights of one network."""

    @abstractmethod
    def forward(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Run n networks at once.

        Parameters
        ----------
        parameters
            Stacked parameters, each (n, *shape).
        inputs
            (batch, features) shared by all networks, or (n, batch, features).

        Returns
        -------
        Logits (n, batch, classes).
        """

    def permutation_spec(self) -> PermutationSpec:
        """Return which permutation acts on which axis of which parameter; on none where no such symmetry is
        known."""
        return {entry.name: (None,) * len(entry.shape) for entry in self.layout.entries}

    def rescaling_spec(self) -> RescalingSpec:
        """Return the positive scaling symmetry of every hidden layer.

        Raises
        ------
        ValueError
            If there is none.
        """
        raise ValueError(f"{self.config.called} states no scaling symmetry (`rescaling_spec`)")

    def attention_spec(self) -> list[Attention]:
        """Return the attentions whose heads, and dimensions within heads, may be permuted."""
        return []

    @property
    def widest(self) -> int:
        """The most values that a layer says of one input."""
        return max(self.layers)
