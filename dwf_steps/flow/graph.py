"""The networks that a velocity field acts on: which weights belong to which unit or layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.flow.units import UnitTokens
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout


@dataclass(frozen=True)
class Layer:
    """Columns of a row that hold one layer's weights (outputs, inputs) and its biases (outputs,)."""

    weight: slice
    bias: slice
    inputs: int
    outputs: int


@dataclass(frozen=True)
class NetworkSpec:
    """The layout of a row of weights or response coordinates.

    Attributes
    ----------
    layout
        Names, shapes and columns of a whole row's entries.
    architecture
        The networks' architecture.
    columns
        The columns of the row that the latents consist of, sorted; None for all.
    """

    layout: Layout
    architecture: Architecture
    columns: np.ndarray | None = None

    @classmethod
    def of(
        cls, layout: Layout, architecture: Mapping[str, Any], columns: np.ndarray | None = None
    ) -> "NetworkSpec":
        """Return the specification that the metadata of a matrix or a model describe."""
        return cls(layout, build(TypeAdapter(ArchitectureConfig).validate_python(architecture)), columns)

    @property
    def description(self) -> dict[str, Any]:
        """Return the entries for a model file's metadata: layout and architecture."""
        architecture = sorted(self.architecture.config.model_dump().items())  # as in manifests
        return {"layout": self.layout.to_json(), "architecture": dict(architecture)}

    def tokens(self, positions: bool = False) -> UnitTokens:
        """Return which weights, or response coordinates, belong to which unit.

        Parameters
        ----------
        positions
            Whether all units of response coordinates are distinguished by their position in the layer.
        """
        parameters = {entry.name for entry in self.architecture.layout.entries}
        if parameters.issuperset(entry.name for entry in self.layout.entries):
            tokens = UnitTokens.of(self.layout, self.architecture.permutation_spec())
        else:
            tokens = UnitTokens.of_responses(self.layout, parameters, positions)
        return tokens if self.columns is None else tokens.within(self.columns)

    def layers(self) -> list[Layer]:
        """Return the layers of a multilayer perceptron, in order.

        Raises
        ------
        InputError
            If the architecture is not a multilayer perceptron.
        """
        entries = {entry.name: entry for entry in self.layout.entries}
        names = [f"layers.{i}" for i in range(len(entries) // 2)]
        if {f"{name}.{kind}" for name in names for kind in ("weight", "bias")} != entries.keys():
            raise InputError(
                f"the graph of {self.architecture.config.called} is not known; a relational transformer "
                "needs multilayer perceptrons"
            )
        weights = [entries[f"{name}.weight"] for name in names]
        biases = [entries[f"{name}.bias"].columns for name in names]
        return [
            Layer(weight.columns, bias, weight.shape[1], weight.shape[0])
            for weight, bias in zip(weights, biases, strict=True)
        ]
