"""What makes whole networks that no sample describes, to compare generated ones with."""

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
    """Which networks are to be made, and what is known of the zoo and how it was trained.

    Attributes
    ----------
    architecture
        What to build.
    plans
        The networks, each with a seed that none of the zoo has.
    training
        The zoo's training; None where the zoo was imported.
    tools
        Device, checkpoint, and the data where the settings' ``reads_data`` is true.
    cost
        Where the settings' ``cost_matched`` names a generator: the share of the zoo's training of a network
        that takes as long as this generator takes for one of its networks.
    epochs
        For how many epochs the zoo's networks were trained, on average; only with ``cost``.
    weights
        Where the weight matrix lies, where the settings' ``reads_weights`` is true.
    first
        The number of the first of the networks among all that the generator makes.
    methods, reference, barycentre
        How the zoo was canonicalized and the manifests of what it was matched to, where the settings'
        ``canonicalized`` is true; the second where it was.
    zoo, made
        The zoo's name, and the manifests of what the settings' ``drawn_in`` made for it and for others.
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
        """The weights of all networks, training rows first, in weights whatever the representation."""
        if self.weights is None:
            raise InputError("--weights is missing; the generator's settings say that it reads them")
        return WeightMatrix.open(self.weights)

    @cached_property
    def dataset(self) -> Dataset:
        """The zoo's data."""
        return Dataset.load(self.tools.data)

    @property
    def whole_training(self) -> TrainingConfig:
        """The zoo's training without patience: it ends after its steps.

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
    """``networks``, the optimisation ``steps`` that they took, and ``facts`` of each, if there are any."""

    networks: StackedNetworks[torch.Tensor]
    steps: int
    facts: Sequence[dict[str, Any]] | None = None


class NetworkMaker(ABC, Generic[Config]):
    """Makes whole networks; its settings say ``makes = "networks"``.

    Parameters
    ----------
    config
        The settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def make(self, request: Request) -> MadeNetworks:
        """Return a network for each of the plans."""
