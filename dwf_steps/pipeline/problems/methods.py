"""Checks of canonicalizations and recalibrations against a zoo's networks."""

from collections.abc import Iterator

from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.canonicalization import ActivationMatching, Method, UnitMatching, reference_of
from dwf_steps.config.recalibration import BatchNorm, LastLayer, ReferenceStatistics, Repair
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.config.zoo import (
    TrainedZoo,
    n_training,
    network_names,
    reference_name,
    trajectory_names,
)
from dwf_steps.pipeline.network_facts import network_facts
from dwf_steps.pipeline.problems.representations import training_examples
from dwf_steps.runtime.errors import InputError

# Method -> the symmetry that an architecture must state.
NEEDED = {
    "git_rebasin": "permutation_spec",
    "activation_matching": "permutation_spec",
    "normalized": "rescaling_spec",
    "transfusion": "attention_spec",
}


def canonicalization_problems(config: WorkflowConfig, zoo_name: str, canon: str) -> Iterator[str]:
    """Yield a line for every mismatch between a canonicalization and a zoo.

    Parameters
    ----------
    config
        The configuration.
    zoo_name
        Name of the zoo.
    canon
        Name of the canonicalization.

    Yields
    ------
    The key, what was found, and what to change.
    """
    zoo, methods = config.zoos[zoo_name], config.canonicalizations[canon]
    where = f"canonicalizations.{canon}"
    for name in ("git_rebasin", "transfusion", "activation_matching"):
        if sum(method.method == name for method in methods) > 1:
            yield f"{where}: {name} is listed more than once; once is enough"
    if sum(isinstance(method, UnitMatching) and method.target == "barycentre" for method in methods) > 1:
        yield f"{where}: several methods match to a barycentre; keep only the last of them"
    yield from _missing_symmetries(config, zoo_name, methods, where)
    for method in methods:
        if isinstance(method, ActivationMatching):
            yield from _unanswered(config, zoo_name, method, f"{where}.{method.method}")
    reference, names = reference_of(methods), network_names(zoo)
    training, trained = names[: n_training(zoo)], len(trajectory_names(zoo))
    if reference == "medoid":
        return
    if isinstance(reference, int) and not 0 <= reference < trained:
        yield (
            f"{where}.reference: {reference} does not exist in zoo {zoo_name!r}; expected 0 to "
            f"{trained - zoo.held_out - 1}, a network's name, or 'medoid'"
        )
        return
    name = reference_name(zoo, reference)
    if name not in names:
        yield (
            f"{where}.reference: no network {name!r} in zoo {zoo_name!r}; expected one of {training[0]} to "
            f"{training[-1]}, or 'medoid'"
        )
    elif name not in training:
        yield (
            f"{where}.reference: {name!r} is held out in zoo {zoo_name!r}; choose one of {training[0]} to "
            f"{training[-1]}, or 'medoid'"
        )


def _missing_symmetries(
    config: WorkflowConfig, zoo_name: str, methods: list[Method], where: str
) -> Iterator[str]:
    """Yield a line for methods that remove a symmetry which a zoo's networks do not have or state."""
    architecture = config.zoos[zoo_name].architecture
    facts = network_facts(architecture)
    symmetries = facts.symmetries
    for method in methods:
        needed = NEEDED[method.method]
        if method.method == "activation_matching" and "attention_spec" in symmetries:
            yield (
                f"{where}: 'activation_matching' matches single units, but zoos.{zoo_name}.architecture "
                f"({architecture.called}) has attention heads; use transfusion, which matches heads and units"
            )
            continue
        if needed in symmetries:
            continue
        if isinstance(architecture, ModuleConfig):
            found = f" ({facts.untraced})" if facts.untraced else ""
            cure = (
                f"it states none, and tracing finds none{found}: give its module a method `{needed}`, or use "
                "another canonicalization for this zoo"
            )
        else:
            cure = "use another canonicalization for this zoo"
        yield (
            f"{where}: {method.method!r} removes a symmetry that zoos.{zoo_name}.architecture "
            f"({architecture.called}) does not have; {cure}"
        )


def _unanswered(
    config: WorkflowConfig, zoo_name: str, method: ActivationMatching, where: str
) -> Iterator[str]:
    """Yield a line if a zoo's data or networks do not provide the responses for matching."""
    examples, architecture = training_examples(config, zoo_name), config.zoos[zoo_name].architecture
    if examples is not None and method.probes > examples:
        yield (
            f"{where}.probes: found {method.probes}, but zoo {zoo_name!r} has {examples} training examples; "
            "expected at most these"
        )
    if (
        isinstance(architecture, ModuleConfig)
        and "permutation_spec" in network_facts(architecture).symmetries
    ):
        # Imported here, so that reading the configuration only imports PyTorch for the user's modules.
        from dwf_steps.architectures import build_module
        from dwf_steps.representation.activations import layers_of_units

        try:
            layers_of_units(build_module(architecture))
        except InputError as error:
            yield f"{where}: zoos.{zoo_name}.architecture: {error}"


def unbuildable(config: WorkflowConfig, name: str) -> Iterator[str]:
    """Yield a line if no network of a zoo's architecture can be built.

    Parameters
    ----------
    config
        The configuration.
    name
        Name of the zoo.

    Yields
    ------
    The key, and the reason.
    """
    try:
        network_facts(config.zoos[name].architecture)
    except InputError as error:
        message, where = str(error), f"zoos.{name}"
        named = message.startswith("architecture.")
        yield f"{where}.{message}" if named else f"{where}.architecture: {message}"


def architecture_problems(config: WorkflowConfig, name: str) -> Iterator[str]:
    """Yield a line for recalibrations and initialisations that a zoo's architecture does not support.

    Parameters
    ----------
    config
        The configuration.
    name
        Name of the zoo.

    Yields
    ------
    The key, what was found, and what to use instead.
    """
    zoo = config.zoos[name]
    for recalibration in dict.fromkeys(cell.recalibration for cell in config.cells() if cell.zoo == name):
        yield from _recalibration_problems(config, name, recalibration)
    own = isinstance(zoo.architecture, MLPConfig)
    if not own and isinstance(zoo, TrainedZoo) and set(zoo.initialisations) != {"default"}:
        yield (
            f"zoos.{name}.initialisations: found {', '.join(zoo.initialisations)}, but "
            f"{zoo.architecture.called} networks initialise themselves; use [default]"
        )


def _recalibration_problems(config: WorkflowConfig, zoo_name: str, name: str) -> Iterator[str]:
    """Yield a line for methods of a recalibration that a zoo's networks do not support."""
    zoo, where = config.zoos[zoo_name], f"recalibrations.{name}"
    network, n = zoo.architecture, n_training(zoo)
    for method in config.recalibrations[name]:
        if isinstance(method, LastLayer | Repair) and not isinstance(network, MLPConfig):
            yield (
                f"{where}: {method.method} supports multilayer perceptrons only, but the "
                f"networks of zoo {zoo_name!r} are {network.called}; use fine_tune"
            )
        if isinstance(method, LastLayer) and network.classes == 1:
            yield f"{where}: last_layer refits classes, but the networks of zoo {zoo_name!r} predict a number"
        if isinstance(method, BatchNorm | ReferenceStatistics) and not network_facts(network).normalised:
            yield (
                f"{where}: {method.method} sets the running statistics of batch normalisation, which the "
                f"networks of zoo {zoo_name!r} ({network.called}) do not have; leave it out for this zoo"
            )
        if isinstance(method, ReferenceStatistics) and method.network >= n:
            yield (
                f"{where}.network: {method.network} does not exist in zoo {zoo_name!r}; expected a training "
                f"network, 0 to {n - 1}"
            )
