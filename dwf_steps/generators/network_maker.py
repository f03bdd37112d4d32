"""Base class of generators that make whole networks, without a representation."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic

import torch

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.canonicalization import Method
from dwf_steps.config.zoo import NetworkPlan, TrainingConfig
from dwf_steps.datasets.splits import Dataset
from dwf_steps.generators.base import Config, Tools
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks


@dataclass(frozen=True)
class Request:
    """The networks to make, and what is known of the zoo.

    Attributes
    ----------
    architecture
        The networks' architecture.
    plans
        Seed and initialisation of each network; no seed occurs in the zoo.
    training
        The zoo's training; None if the zoo was imported.
    tools
        Device, checkpoint, and the data if the settings' ``reads_data`` is true.
    cost
        If the settings' ``cost_matched`` names a generator: the time that it takes per network, as a share of
        the time that training a network of the zoo takes.
    epochs
        Mean number of epochs that the zoo's networks were trained for; only with ``cost``.
    weights
        Path of the weight matrix, if the settings' ``reads_weights`` is true.
    first
        Index of the first of these networks among all that the generator makes.
    methods, reference, barycentre
        The zoo's canonicalization methods, and manifests of the networks that it was aligned to, if the
        settings' ``canonicalized`` is true; ``barycentre`` is None if there is none.
    zoo, made
        The zoo's name, and manifests of the networks that the settings' ``drawn_in`` names, for this zoo and
        others.
    """

    architecture: Architecture
    plans: Sequence[NetworkPlan]
    training: TrainingConfig | None
    tools: Tools
    cost: float | None = None
    epochs: float | None = None
    weights: Path | None = None
    first: int = 0
    methods: list[Method] = field(default_factory=list)
    reference: Path | None = None
    barycentre: Path | None = None
    zoo: str = ""
    made: Sequence[Path] = ()

    @cached_property
    def matrix(self) -> WeightMatrix:
        """Weights of all networks, training networks first, independent of the representation."""
        if self.weights is None:
            raise InputError("--weights is missing; the generator's settings say that it reads them")
        return WeightMatrix.open(self.weights)

    @cached_property
    def dataset(self) -> Dataset:
        """The zoo's data set."""
        return Dataset.load(self.tools.data)

    @property
    def whole_training(self) -> TrainingConfig:
        """The zoo's training without early stopping.

        Raises
        ------
        InputError
            If the zoo was imported.
        """
        if self.training is None:
            raise InputError("an imported zoo has no training to repeat; leave this generator out")
        return self.training.model_copy(update={"patience": None})


@dataclass(frozen=True)
class MadeNetworks:
    """The networks that a `NetworkMaker` returns.

    Attributes
    ----------
    networks
        The networks.
    steps
        Optimisation steps that they took.
    facts
        Entries for each network in the manifest, if any.
    """

    networks: StackedNetworks[torch.Tensor]
    steps: int
    facts: Sequence[dict[str, Any]] | None = None


class NetworkMaker(ABC, Generic[Config]):
    """Makes whole networks; its settings have ``makes = "networks"``.

    Parameters
    ----------
    config
        The settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def make(self, request: Request) -> MadeNetworks:
        """Make a network for each of the plans."""
