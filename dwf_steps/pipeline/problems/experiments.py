"""Checks of names, and of all combinations in the experiments."""

from collections.abc import Iterator
from dataclasses import dataclass

from dwf_steps.config.dataset import BUILT_IN
from dwf_steps.config.representation import WEIGHTS
from dwf_steps.config.section import unknown
from dwf_steps.config.sweep import SECTIONS
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.config.zoo import JointZoo
from dwf_steps.pipeline.network_facts import NetworkFacts, network_facts
from dwf_steps.pipeline.problems.data import transfer_problems, zoo_problems
from dwf_steps.pipeline.problems.methods import (
    architecture_problems,
    canonicalization_problems,
    unbuildable,
)
from dwf_steps.pipeline.problems.representations import candidate_problems, representation_problems
from dwf_steps.pipeline.problems.subspaces import subspace_problems
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.plugins import find_plugin

# Names of files at the same depth; "zoo" is the generator in table rows of the zoo's own networks.
RESERVED = {
    "datasets": set(BUILT_IN),
    "zoos": {"data", "transfers", "tables", "figures", "captions", "logs", "benchmarks"},
    "canonicalizations": {"zoo", "outputs"},
    "representations": {"aligned", "barycentre", "reference", "zoo_metrics", "zoo_outputs"},
    "subspaces": {"gram", "sketch", "encoded"},
    "generators": {"zoo"},
    "recalibrations": {"networks", "other_widths"},
}


@dataclass(frozen=True)
class _Context:
    """What checks of generators may use of the whole configuration."""

    config: WorkflowConfig

    def facts(self, zoo: str) -> NetworkFacts:
        return network_facts(self.config.zoos[zoo].architecture)

    def transfer_problems(self, zoo: str, transfer: str) -> Iterator[str]:
        return transfer_problems(self.config, zoo, transfer)

    def objective_problems(self, target: str, key: str, classes: int) -> Iterator[str]:
        try:
            objective = find_plugin(target, key).make
            # Imported here, so that reading the configuration only imports PyTorch for a user's objective.
            from dwf_steps.generators.objective import check_objective

            check_objective(objective, target, key, classes)
        except InputError as error:
            yield str(error)

    def generator_problems(self, target: str, where: str, fitted: bool) -> Iterator[str]:
        # Imported here, so that reading the configuration only imports it for a user's generator.
        from dwf_steps.generators.custom import generator_class

        try:
            generator_class(target, where, fitted)
        except InputError as error:
            yield str(error)


def problems_of(config: WorkflowConfig) -> Iterator[str]:
    """Yield a line for every problem that involves several sections: names, sizes, mismatches.

    Parameters
    ----------
    config
        The configuration, each section of which is valid.

    Yields
    ------
    The key, what was found, and what to change.
    """
    yield from _reserved_names(config)
    yield from _representation_names(config)
    undefined = list(_undefined_names(config))
    yield from undefined
    if undefined:
        return
    cells, context = config.cells_made(), _Context(config)
    buildable, usable = {}, {}
    for name in dict.fromkeys(name for c in cells for name in (*_single(config, c.zoo), c.zoo)):
        broken = list(unbuildable(config, name))
        problems = [*zoo_problems(config, name), *(broken or architecture_problems(config, name))]
        yield from problems
        buildable[name], usable[name] = not broken, not problems
    for zoo, transfer in dict.fromkeys((cell.zoo, name) for cell, name in config.transferred()):
        if usable[zoo]:
            yield from transfer_problems(config, zoo, transfer)
    for zoo, canon in dict.fromkeys((name, c.canon) for c in cells for name in _single(config, c.zoo)):
        if usable[zoo]:
            yield from canonicalization_problems(config, zoo, canon)
    for zoo, representation in dict.fromkeys((cell.zoo, cell.representation) for cell in cells):
        if usable[zoo]:
            yield from representation_problems(config, zoo, representation)
    for names in dict.fromkeys((cell.zoo, cell.representation, cell.subspace) for cell in cells):
        if usable[names[0]]:
            yield from subspace_problems(config, *names)
    for zoo, generator in dict.fromkeys((cell.zoo, cell.generator) for cell in cells):
        if buildable[zoo]:
            yield from config.generators[generator].problems_with_zoo(f"generators.{generator}", zoo, context)
    for subspace, generator in dict.fromkeys((cell.subspace, cell.generator) for cell in cells):
        yield from config.generators[generator].problems_with_subspace(
            f"generators.{generator}", subspace, config
        )
    for representation, generator in dict.fromkeys((cell.representation, cell.generator) for cell in cells):
        yield from config.generators[generator].problems_with_representation(
            f"generators.{generator}", representation, config
        )
    for cell in dict.fromkeys(cell._replace(canon="", subspace="", recalibration="") for cell in cells):
        if usable[cell.zoo]:
            yield from candidate_problems(config, cell)


def _single(config: WorkflowConfig, name: str) -> list[str]:
    """Return the zoos that have the networks: the zoo itself, or the members of a joint zoo."""
    zoo = config.zoos[name]
    return list(zoo.members) if isinstance(zoo, JointZoo) else [name]


def _reserved_names(config: WorkflowConfig) -> Iterator[str]:
    for section, reserved in RESERVED.items():
        for name in sorted(reserved & set(getattr(config, section))):
            yield f"{section}.{name}: this name is reserved for the workflow; choose another"


def _representation_names(config: WorkflowConfig) -> Iterator[str]:
    """Yield a line if the name and the kind `weights` do not coincide.

    Novelty is measured in the representation of this name.
    """
    for name, representation in config.representations.items():
        if name == WEIGHTS and representation.kind != WEIGHTS:
            yield (
                f"representations.{name}.kind: found {representation.kind!r}, but this name stands for the "
                "weights themselves; choose another name"
            )
        elif name != WEIGHTS and representation.kind == WEIGHTS:
            yield (
                f"representations.{name}.kind: {WEIGHTS!r} is already defined, under the name {WEIGHTS!r}; "
                f"use that name in experiments and leave {name!r} out"
            )


def _undefined_names(config: WorkflowConfig) -> Iterator[str]:
    for i, experiment in enumerate(config.experiments):
        for section in (*SECTIONS, "transfers"):
            defined = list(getattr(config, section))
            for name in getattr(experiment, section):
                if name not in defined:
                    yield f"experiments.{i}.{section}: {unknown(name, defined)}"
        for name in experiment.zoos:
            if isinstance(config.zoos.get(name), JointZoo):
                yield (
                    f"experiments.{i}.zoos: {name!r} is a joint zoo, which has no data to evaluate all "
                    "networks on; name its members, and generators of kind 'joint'"
                )
    for name, zoo in config.zoos.items():
        if isinstance(zoo, JointZoo):
            yield from _undefined_members(config, name, zoo)
    for name, generator in config.generators.items():
        for section, asked in zip(("zoos", "generators"), generator.drawn_in or (), strict=False):
            if asked not in getattr(config, section):
                key = section.removesuffix("s")
                yield f"generators.{name}.{key}: {unknown(asked, list(getattr(config, section)))}"


def _undefined_members(config: WorkflowConfig, name: str, zoo: JointZoo) -> Iterator[str]:
    single = [other for other, found in config.zoos.items() if not isinstance(found, JointZoo)]
    for member in zoo.zoos:
        if isinstance(config.zoos.get(member), JointZoo):
            yield f"zoos.{name}.zoos: {member!r} is itself a joint zoo; name its members"
        elif member not in single:
            yield f"zoos.{name}.zoos: {unknown(member, single)}"
    for member in sorted({member for member in zoo.zoos if zoo.zoos.count(member) > 1}):
        yield f"zoos.{name}.zoos: {member!r} is named more than once; once is enough"
