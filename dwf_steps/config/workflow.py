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
    """One combination of names that an experiment asks for."""

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
    """A grid: every combination of the names listed is run."""

    zoos: Names
    """Zoos by name."""
    canonicalizations: Names
    """Canonicalizations by name."""
    representations: Names = Field(default=[WEIGHTS])
    """Representations by name."""
    subspaces: Names
    """Subspaces by name."""
    generators: Names
    """Generators by name."""
    recalibrations: Names = Field(default=["none"])
    """Recalibrations by name; every generator is recalibrated alike."""
    transfers: Annotated[list[Name], AfterValidator(_unique)] = Field(default=[])
    """Transfers by name; every generator's networks are taken there."""

    def cells(self) -> Iterator[Cell]:
        """Yield the grid's combinations."""
        for names in product(*(getattr(self, section) for section in SECTIONS)):
            yield Cell(*names)


def _with_weights(defined: dict[str, RepresentationConfig]) -> dict[str, RepresentationConfig]:
    return {WEIGHTS: WeightsRepresentation(kind=WEIGHTS)} | defined


class WorkflowConfig(Section):
    """Definitions first, then what to run."""

    data_dir: Path = Path("data")
    """Where data sets that no dependency ships are looked for (`MNIST/raw/...`, `FashionMNIST/raw/...`)
    before they are downloaded; the workflow works on its own copy, `results/data`."""
    keep_aligned: bool = True
    """Keep the canonicalized networks' files once they are stacked. Without them a canonicalization takes
    about half the disk space, but other `matrix` settings, `held_out` or `seeds` canonicalize all again."""
    datasets: dict[Name, NamedData] = Field(default_factory=dict)
    """Image sets and texts of your own, and data sets derived from these or from built-in ones."""
    zoos: dict[Name, ZooConfig]
    """Collections of networks."""
    canonicalizations: dict[Name, Canonicalization]
    """Ways of removing symmetries: a list of methods applied in order; `[]` leaves the networks alone."""
    representations: Annotated[dict[Name, RepresentationConfig], AfterValidator(_with_weights)] = Field(
        default=_with_weights({})
    )
    """Coordinates of networks. `weights` is always defined."""
    subspaces: dict[Name, SubspaceConfig]
    """Ways of reducing the matrix of a representation."""
    generators: dict[Name, AnyGenerator]
    """Flows and controls."""
    recalibrations: dict[Name, Recalibration] = Field(default={"none": []})
    """How generated networks are recalibrated on training examples: a list of methods applied in order; `[]`
    leaves the networks alone."""
    transfers: dict[Name, TransferConfig] = Field(default_factory=dict)
    """Other data sets that networks are taken to, and how."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How networks are judged."""
    experiments: Annotated[list[Experiment], Field(min_length=1)]
    """What to run; `all` is exactly these grids. The name of a definition with a `sweep` asks for all its
    members."""
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
        """Return what networks are trained on, or taken to: a built-in data set's name, or its files; of
        derived data what these are derived from."""
        derived = self.derived(of)
        name = of.dataset if derived is None else derived.of
        if isinstance(name, str):
            return cast(DatasetConfig, self.datasets.get(name, cast(BuiltInName, name)))
        return name

    def derived(self, of: TrainedZoo | ImportedZoo | TransferConfig) -> DerivedData | None:
        """Return how the data of `dataset` are changed, if they are."""
        found = self.datasets.get(of.dataset) if isinstance(of.dataset, str) else None
        return found if isinstance(found, DerivedData) else None

    def dataset_facts(self, of: TrainedZoo | ImportedZoo | TransferConfig) -> DatasetFacts:
        """Return what is known of these data, if they are no table, before they are loaded."""
        facts, derived = facts_of(self.dataset(of)), self.derived(of)
        return facts if derived is None else derived.facts(facts)

    @property
    def members(self) -> Members:
        """By section, the definitions that a sweep stands for."""
        return self._members

    def cells(self) -> list[Cell]:
        """Return every combination the experiments ask for, once, in order."""
        return list(dict.fromkeys(cell for experiment in self.experiments for cell in experiment.cells()))

    def cells_made(self) -> list[Cell]:
        """Return these and, in zoos of several, those that their generators take networks from."""
        cells = self.cells()
        return list(dict.fromkeys([*cells, *filter(None, map(self.drawn_in, cells))]))

    def drawn_in(self, cell: Cell) -> Cell | None:
        """Return where the networks of a combination are made, if that is in a zoo of several."""
        place = self.generators[cell.generator].drawn_in
        return place and cell._replace(zoo=place[0], generator=place[1], recalibration="")

    def transferred(self) -> list[tuple[Cell, str]]:
        """Return every combination that a transfer is asked for, with the transfer, once, in order."""
        asked = (
            (cell, name)
            for experiment in self.experiments
            for cell in experiment.cells()
            for name in experiment.transfers
        )
        return list(dict.fromkeys(asked))

    def fitted_by(self) -> dict[str, str]:
        """Return for each generator with a model the first one that is fitted alike: those that differ in
        their sampling share one model."""
        first: dict[str, str] = {}
        settings = {
            name: generator.as_fitted().model_dump_json()
            for name, generator in self.generators.items()
            if generator.fitted
        }
        return {name: first.setdefault(fit, name) for name, fit in settings.items()}
