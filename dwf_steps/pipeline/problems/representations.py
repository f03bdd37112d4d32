"""Checks of representations against a zoo."""

import math
from collections.abc import Iterator

from dwf_steps.config.architectures.base import TransformerConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.dataset import BUILT_IN
from dwf_steps.config.representation import WEIGHTS, ResponsesRepresentation
from dwf_steps.config.workflow import Cell, WorkflowConfig
from dwf_steps.config.zoo import JointZoo
from dwf_steps.runtime.errors import InputError


def representation_problems(config: WorkflowConfig, zoo_name: str, name: str) -> Iterator[str]:
    """Yield a line for every mismatch between a representation and a zoo.

    Parameters
    ----------
    config
        The configuration.
    zoo_name
        Name of the zoo.
    name
        Name of the representation.

    Yields
    ------
    The key, what was found, and what to change.
    """
    zoo, representation, where = (
        config.zoos[zoo_name],
        config.representations[name],
        f"representations.{name}",
    )
    if not isinstance(representation, ResponsesRepresentation):
        return
    examples = training_examples(config, zoo_name)
    probes = representation.probes * (len(zoo.with_data) if isinstance(zoo, JointZoo) else 1)
    if examples is not None and probes > examples:
        yield (
            f"{where}.probes: found {probes}, but zoo {zoo_name!r} has {examples} training "
            "examples; expected at most these. Lower probes and, with them, functions"
        )
    if isinstance(zoo.architecture, ModuleConfig):
        # Imported here, so that reading the configuration only imports PyTorch for the user's modules.
        from dwf_steps.architectures import build_module
        from dwf_steps.representation.tracing import trace

        try:
            trace(build_module(zoo.architecture))
        except InputError as error:
            yield f"{where}: zoos.{zoo_name}.architecture: {error}"


def candidate_problems(config: WorkflowConfig, cell: Cell) -> Iterator[str]:
    """Yield a line if units cannot be chosen among a generator's candidates.

    Parameters
    ----------
    config
        The configuration.
    cell
        Zoo, representation and generator; the other names are not used.

    Yields
    ------
    The key, what was found, and what to change.
    """
    candidates = config.generators[cell.generator].sampling.candidates
    if candidates == 1:
        return
    where = f"generators.{cell.generator}.sampling.candidates: found {candidates}, but"
    kind, architecture = config.representations[cell.representation].kind, config.zoos[cell.zoo].architecture
    if kind == WEIGHTS:
        yield (
            f"{where} representations.{cell.representation} has kind {kind!r}, without units' responses; "
            "expected kind 'responses'. Set candidates: 1, or use such a representation"
        )
    elif isinstance(architecture, TransformerConfig):
        yield (
            f"{where} zoo {cell.zoo!r} has kind {architecture.kind!r}, whose layer norms mix the first "
            "layer's units before any layer reads them; set candidates: 1"
        )
    elif isinstance(architecture, ModuleConfig):
        from dwf_steps.architectures import build_module
        from dwf_steps.representation.selection import UnitSelection
        from dwf_steps.representation.tracing import trace

        try:
            module = build_module(architecture)
            UnitSelection.of(module, trace(module))
        except InputError as error:
            yield f"{where} {error}"


def training_examples(config: WorkflowConfig, zoo_name: str) -> int | None:
    """Return the number of training examples of a built-in data set.

    Parameters
    ----------
    config
        The configuration.
    zoo_name
        Name of the zoo.

    Returns
    -------
    For a joint zoo, the number of members times that of the smallest one; None for other data sets, whose
    sizes are only known roughly before they are read.
    """
    zoo = config.zoos[zoo_name]
    if isinstance(zoo, JointZoo):
        of_members = [training_examples(config, member) for member in zoo.with_data]
        return None if None in of_members else len(of_members) * min(filter(None, of_members))
    name, derived = config.dataset(zoo), config.derived(zoo)
    if not (isinstance(name, str) and name in BUILT_IN) or (derived and None in (derived.classes or ())):
        return None
    facts, splits = BUILT_IN[name], zoo.splits
    examples = facts.examples
    if not facts.files:  # otherwise it has its own test set
        examples -= math.ceil(splits.test * examples)
    return examples - math.ceil(splits.validation * examples)
