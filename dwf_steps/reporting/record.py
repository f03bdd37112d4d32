"""A record of the experiments, which rules pass to the makers of tables and figures."""

from pathlib import Path
from typing import Any

from pydantic import Field

from dwf_steps.config import sweep
from dwf_steps.config.dataset import Shape
from dwf_steps.config.evaluation import EvaluationConfig
from dwf_steps.config.generators.base import GeneratorFacts
from dwf_steps.config.representation import WEIGHTS
from dwf_steps.config.section import Section
from dwf_steps.config.workflow import Cell
from dwf_steps.storage.lineage import LEVELS

KEYS = list(LEVELS)
GENERATOR_KEYS = KEYS[: KEYS.index("generator") + 1]
RECORD = Path("tables/experiment.json")
SECTIONS = dict(zip(KEYS, sweep.SECTIONS, strict=True))


class MemberRecord(Section):
    """A definition that a sweep stands for."""

    family: str
    values: dict[str, Any]
    setting: dict[str, Any]


class ExperimentRecord(Section):
    """What the experiments consist of: enough to read a results folder without its configuration.

    It is written as `tables/experiment.json`, so that the folders of several machines or seeds can be merged.
    """

    cells: list[Cell]
    members: dict[str, dict[str, MemberRecord]]
    """The definitions that sweeps stand for, by section and name."""
    generators: dict[str, GeneratorFacts]
    """The properties of each generator."""
    fitted_by: dict[str, str]
    """By generator with a model, the first generator with the same fit, whose model both use."""
    zoo_networks: dict[str, int]
    """The number of networks of each zoo."""
    zoo_trainings: dict[str, int]
    """The number of trainings of each zoo, which is lower than that of networks in zoos of checkpoints."""
    image_shapes: dict[str, Shape] = Field(default={})
    """Channels, height and width of the inputs of each zoo whose inputs are images."""
    classifying: list[str] = Field(default=[])
    """The zoos whose networks predict classes."""
    samples: dict[str, int]
    """The number of networks requested from each generator."""
    drawn_in: dict[str, tuple[str, str]] = Field(default={})
    """By generator that takes its networks from a joint zoo: this zoo, and the generator there."""
    transferred: list[tuple[Cell, str]] = Field(default=[])
    """Cells and their transfers."""
    autoencoders: list[str] = Field(default=[])
    """The generators that encode networks and decode samples."""
    likelihoods: list[str] = Field(default=[])
    """The flows under which log-densities of networks are computed."""
    other_widths: dict[str, list[str]] = Field(default={})
    """By flow, the other widths to sample, by the names of their folders."""
    halfway: list[str] = Field(default=[])
    """The generators whose networks lie half-way between two training networks."""
    good_margin: float = EvaluationConfig().good_margin
    """How far below the zoo's mean a good network may score."""
    novelty_factors: tuple[float, ...] = EvaluationConfig().novelty_factors
    """Thresholds for new networks, as multiples of the mean distance between nearest training networks."""
    scope: str = ""
    """The zoos and generators that tables and figures cover, for captions."""

    @property
    def represented(self) -> bool:
        """Whether there is a representation besides weights."""
        return any(cell.representation != WEIGHTS for cell in self.cells)

    @property
    def made(self) -> list[Cell]:
        """The cells and, in joint zoos, the cells from which generators take their networks."""
        there = [
            cell._replace(zoo=zoo, generator=generator)
            for cell in self.cells
            for zoo, generator in [self.drawn_in.get(cell.generator, (cell.zoo, cell.generator))]
        ]
        return list(dict.fromkeys([*self.cells, *there]))

    def family(self, level: str, name: str) -> str:
        """Return the name of the definition with the sweep that a name comes from, or the name itself."""
        member = self.members.get(SECTIONS[level], {}).get(name)
        return member.family if member else name

    def setting(self, level: str, name: str) -> dict[str, Any]:
        """Return the values that distinguish a name from its family's other names, seeds excepted."""
        member = self.members.get(SECTIONS[level], {}).get(name)
        return member.setting if member else {}

    def label(self, level: str, name: str) -> str:
        """Return the name in tables, which repetitions with different seeds or references share."""
        values = [f"{key.rpartition('.')[2]}={value}" for key, value in self.setting(level, name).items()]
        return " ".join([self.family(level, name), *values])


def family_of(label: str) -> str:
    """Return the family in a label.

    Parameters
    ----------
    label
        The family, followed by the member's values.

    Returns
    -------
    Its first word.
    """
    return label.partition(" ")[0]


def swept_families(record: ExperimentRecord) -> dict[str, str]:
    """Return the families of sweeps, with values that a study varies, that the experiments use.

    Parameters
    ----------
    record
        Of the experiments.

    Returns
    -------
    The level, such as ``generator``, by family.
    """
    used = {level: {cell[place] for cell in record.cells} for place, level in enumerate(KEYS)}
    return {
        member.family: level
        for level, section in SECTIONS.items()
        for name, member in record.members.get(section, {}).items()
        if name in used[level] and member.setting
    }
