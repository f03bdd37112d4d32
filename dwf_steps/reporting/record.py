"""What was asked for: what rules tell the makers of tables and figures."""

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
    """What was asked for: enough to read a results folder without its configuration.

    Written as `tables/experiment.json`, so that the folders of several machines or seeds can be merged.
    """

    cells: list[Cell]
    members: dict[str, dict[str, MemberRecord]]
    """By section, the definitions that a sweep stands for."""
    generators: dict[str, GeneratorFacts]
    """What kind of generator each is."""
    fitted_by: dict[str, str]
    """The generator that each one with a model shares it with; itself, if it is the first of them."""
    zoo_networks: dict[str, int]
    """Networks of each zoo."""
    zoo_trainings: dict[str, int]
    """Trainings of each zoo: as many, or, of checkpoints, fewer."""
    image_shapes: dict[str, Shape] = Field(default={})
    """Channels, height and width of what the networks of each zoo see, where these are images."""
    classifying: list[str] = Field(default=[])
    """Zoos whose networks tell classes apart."""
    samples: dict[str, int]
    """Networks each generator was asked for."""
    drawn_in: dict[str, tuple[str, str]] = Field(default={})
    """By generator that takes its networks from a zoo of several: this zoo, and the generator there."""
    transferred: list[tuple[Cell, str]] = Field(default=[])
    """Cells and the transfers they were asked for."""
    autoencoders: list[str] = Field(default=[])
    """Generators that encode networks and decode what they draw."""
    likelihoods: list[str] = Field(default=[])
    """Flows whose networks' likelihood was asked for."""
    other_widths: dict[str, list[str]] = Field(default={})
    """By flow, the other widths it was asked for, as folders call them."""
    halfway: list[str] = Field(default=[])
    """Generators whose networks lie half-way between two training networks."""
    good_margin: float = EvaluationConfig().good_margin
    """How far below the zoo's mean a network may score to count as good."""
    novelty_factors: tuple[float, ...] = EvaluationConfig().novelty_factors
    """How many times as far from its nearest training network as those are from theirs a new network is."""
    scope: str = ""
    """What tables and figures cover, in a sentence; captions state it."""

    @property
    def represented(self) -> bool:
        """Whether there is a representation besides weights."""
        return any(cell.representation != WEIGHTS for cell in self.cells)

    @property
    def made(self) -> list[Cell]:
        """The cells and, in zoos of several, those that their generators take networks from."""
        there = [
            cell._replace(zoo=zoo, generator=generator)
            for cell in self.cells
            for zoo, generator in [self.drawn_in.get(cell.generator, (cell.zoo, cell.generator))]
        ]
        return list(dict.fromkeys([*self.cells, *there]))

    def family(self, level: str, name: str) -> str:
        """Return the name of the definition that stands behind a name."""
        member = self.members.get(SECTIONS[level], {}).get(name)
        return member.family if member else name

    def setting(self, level: str, name: str) -> dict[str, Any]:
        """Return the values that distinguish a name from its family's others; not seeds and references."""
        member = self.members.get(SECTIONS[level], {}).get(name)
        return member.setting if member else {}

    def label(self, level: str, name: str) -> str:
        """Return what tables call a name: repetitions, which differ in a seed or a reference, share it."""
        values = [f"{key.rpartition('.')[2]}={value}" for key, value in self.setting(level, name).items()]
        return " ".join([self.family(level, name), *values])


def family_of(label: str) -> str:
    """Return the family of a label: what it says of its values stands behind it."""
    return label.partition(" ")[0]


def swept_families(record: ExperimentRecord) -> dict[str, str]:
    """Return the families of which the experiments use members that a study varies, and their level."""
    used = {level: {cell[place] for cell in record.cells} for place, level in enumerate(KEYS)}
    return {
        member.family: level
        for level, section in SECTIONS.items()
        for name, member in record.members.get(section, {}).items()
        if name in used[level] and member.setting
    }
