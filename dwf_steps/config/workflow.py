"""The whole configuration: definitions, and the experiments that combine them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, NamedTuple, Self, cast

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from dwf_steps.config.canonicalization import Canonicalization
from dwf_steps.config.dataset import (
    BuiltInName,
    DatasetConfig,
    DatasetFacts,
    DerivedData,
    NamedData,
    facts_of,
)
from dwf_steps.config.evaluation import EvaluationConfig
from dwf_steps.config.generators import AnyGenerator
from dwf_steps.config.recalibration import Recalibration
from dwf_steps.config.representation import WEIGHTS, RepresentationConfig, WeightsRepresentation
from dwf_steps.config.section import Name, Section
from dwf_steps.config.subspace import SubspaceConfig
from dwf_steps.config.sweep import SECTIONS, Members
from dwf_steps.config.transfer import TransferConfig
from dwf_steps.config.zoo import ImportedZoo, JointZoo, TrainedZoo, ZooConfig


class Cell(NamedTuple):
    """One combination of names in an experiment."""

    zoo: str
    canon: str
    representation: str
    subspace: str
    generator: str
    recalibration: str


def _unique(names: list[str]) -> list[str]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"named more than once: {', '.join(repeated)}")
    return names


Names = Annotated[list[Name], Field(min_length=1), AfterValidator(_unique)]


class Experiment(Section):
    """Lists of names, of which every combination is run."""

    zoos: Names
    """Names of zoos."""
    canonicalizations: Names
    """Names of canonicalizations."""
    representations: Names = Field(default=[WEIGHTS])
    """Names of representations."""
    subspaces: Names
    """Names of subspaces."""
    generators: Names
    """Names of generators."""
    recalibrations: Names = Field(default=["none"])
    """Names of recalibrations; each is applied to the networks of every generator."""
    transfers: Annotated[list[Name], AfterValidator(_unique)] = Field(default=[])
    """Names of transfers; each is applied to the networks of every generator."""

    def cells(self) -> Iterator[Cell]:
        """Yield the grid's combinations."""
        for names in product(*(getattr(self, section) for section in SECTIONS)):
            yield Cell(*names)


def _with_weights(defined: dict[str, RepresentationConfig]) -> dict[str, RepresentationConfig]:
    return {WEIGHTS: WeightsRepresentation(kind=WEIGHTS)} | defined


class WorkflowConfig(Section):
    """Definitions, and the experiments that combine them."""

    data_dir: Path = Path("data")
    """Folder in which data sets that no dependency ships (`MNIST/raw/...`, `FashionMNIST/raw/...`) are looked
    for before they are downloaded. The workflow works on its own copy, in `results/data`."""
    keep_aligned: bool = True
    """Whether to keep the files of canonicalized networks once they are stacked. Deleting them halves the
    disk space of a canonicalization, but all networks are canonicalized again when `matrix`, `held_out` or
    `seeds` change."""
    datasets: dict[Name, NamedData] = Field(default_factory=dict)
    """Your own images and texts, and data sets derived from these or from built-in ones."""
    zoos: dict[Name, ZooConfig]
    """Collections of networks."""
    canonicalizations: dict[Name, Canonicalization]
    """Ways of removing symmetries: a list of methods applied in order; `[]` leaves the networks unchanged."""
    representations: Annotated[dict[Name, RepresentationConfig], AfterValidator(_with_weights)] = Field(
        default=_with_weights({})
    )
    """Coordinates of networks. `weights` is always defined."""
    subspaces: dict[Name, SubspaceConfig]
    """Ways of reducing the matrix of a representation."""
    generators: dict[Name, AnyGenerator]
    """Generators and controls."""
    recalibrations: dict[Name, Recalibration] = Field(default={"none": []})
    """Changes to generated networks based on training examples: a list of methods applied in order; `[]`
    leaves the networks unchanged."""
    transfers: dict[Name, TransferConfig] = Field(default_factory=dict)
    """Other data sets on which networks are evaluated and fine-tuned."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How networks are evaluated."""
    experiments: Annotated[list[Experiment], Field(min_length=1)]
    """The grids to run; the target `all` runs exactly these. The name of a definition with a `sweep` stands
    for all its members."""
    _members: Members = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _joint_zoos_know_their_members(self) -> Self:
        for zoo in self.zoos.values():
            if isinstance(zoo, JointZoo):
                members = {name: self.zoos.get(name) for name in zoo.zoos}
                zoo._members = {
                    name: member
                    for name, member in members.items()
                    if isinstance(member, TrainedZoo | ImportedZoo)
                }
        return self

    def dataset(self, of: TrainedZoo | ImportedZoo | TransferConfig) -> DatasetConfig:
        """Return the data set of a zoo or transfer.

        Parameters
        ----------
        of
            The zoo or transfer.

        Returns
        -------
        A built-in data set's name, or its files; for derived data, those of the original data set.
        """
        derived = self.derived(of)
        name = of.dataset if derived is None else derived.of
        if isinstance(name, str):
            return cast(DatasetConfig, self.datasets.get(name, cast(BuiltInName, name)))
        return name

    def derived(self, of: TrainedZoo | ImportedZoo | TransferConfig) -> DerivedData | None:
        """Return how the data set of a zoo or transfer differs from the one that it is derived from.

        Parameters
        ----------
        of
            The zoo or transfer.

        Returns
        -------
        The change; None if the data are not derived.
        """
        found = self.datasets.get(of.dataset) if isinstance(of.dataset, str) else None
        return found if isinstance(found, DerivedData) else None

    def dataset_facts(self, of: TrainedZoo | ImportedZoo | TransferConfig) -> DatasetFacts:
        """Return what is known of a zoo's or transfer's data before they are loaded; not for tables."""
        facts, derived = facts_of(self.dataset(of)), self.derived(of)
        return facts if derived is None else derived.facts(facts)

    @property
    def members(self) -> Members:
        """The definitions that sweeps stand for, by section and name."""
        return self._members

    def cells(self) -> list[Cell]:
        """Return every combination in the experiments, once, in order."""
        return list(dict.fromkeys(cell for experiment in self.experiments for cell in experiment.cells()))

    def cells_made(self) -> list[Cell]:
        """Return every combination in which networks are made.

        These are the experiments' combinations, and those in joint zoos from which generators of kind `joint`
        take their networks.
        """
        cells = self.cells()
        return list(dict.fromkeys([*cells, *filter(None, map(self.drawn_in, cells))]))

    def drawn_in(self, cell: Cell) -> Cell | None:
        """Return the combination in a joint zoo that a cell's networks are taken from, if there is one."""
        place = self.generators[cell.generator].drawn_in
        return place and cell._replace(zoo=place[0], generator=place[1], recalibration="")

    def transferred(self) -> list[tuple[Cell, str]]:
        """Return every combination whose networks are transferred, with the transfer, once, in order."""
        asked = (
            (cell, name)
            for experiment in self.experiments
            for cell in experiment.cells()
            for name in experiment.transfers
        )
        return list(dict.fromkeys(asked))

    def fitted_by(self) -> dict[str, str]:
        """Return by generator the first generator with the same fit, whose model both use.

        Generators that differ only in their sampling share one model. Those without a model have no entry.
        """
        first: dict[str, str] = {}
        settings = {
            name: generator.as_fitted().model_dump_json()
            for name, generator in self.generators.items()
            if generator.fitted
        }
        return {name: first.setdefault(fit, name) for name, fit in settings.items()}
