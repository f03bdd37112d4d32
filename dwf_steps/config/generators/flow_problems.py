"""Checks of whether a flow fits its zoo, representation and subspace, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.base import Context
from dwf_steps.config.generators.velocity import (
    RelationalTransformerConfig,
    UnitTransformerConfig,
    VelocityConfig,
)
from dwf_steps.config.representation import WEIGHTS
from dwf_steps.config.section import planning, unknown
from dwf_steps.config.zoo import AnyZoo, JointZoo, TrainedZoo, network_names, trajectory_names

if TYPE_CHECKING:
    from dwf_steps.config.generators.flow import FlowConfig
    from dwf_steps.config.workflow import WorkflowConfig


@planning
def flow_zoo_problems(flow: FlowConfig, where: str, zoo: str, context: Context) -> Iterator[str]:
    """Yield a line for every mismatch between a flow and its zoo.

    Parameters
    ----------
    flow
        The flow's settings.
    where
        Their key, such as ``generators.flow``.
    zoo
        Name of the zoo.
    context
        The whole configuration, with facts that require building a network or reading a file.

    Yields
    ------
    The key, what was found, why it does not fit, and what to change.
    """
    architecture, symmetries = context.config.zoos[zoo].architecture, context.facts(zoo).symmetries
    yield from _guidance_problems(flow, where, zoo, context)
    if flow.reads_initialisations and not isinstance(context.config.zoos[zoo], TrainedZoo):
        origin = "of several zoos" if isinstance(context.config.zoos[zoo], JointZoo) else "imported"
        yield (
            f"{where}.source: {flow.source!r} starts at networks' first weights, but zoo {zoo!r} is "
            f"{origin}, and its networks' are not known; use source: 'standard'"
        )
    yield from _training_problems(flow, where, zoo, context)
    if flow.geometry != "euclidean" and "rescaling_spec" not in symmetries:
        yield (
            f"{where}.geometry: {flow.geometry!r} scales units, but zoos.{zoo}.architecture "
            f"({architecture.called}) states no scaling symmetry (`rescaling_spec`); use 'euclidean'"
        )
    if not isinstance(architecture, MLPConfig):
        if flow.source == "kaiming":
            yield (
                f"{where}.source: 'kaiming' needs multilayer perceptrons, but the networks of zoo "
                f"{zoo!r} are {architecture.called}; use 'standard'"
            )
        if isinstance(flow.velocity, RelationalTransformerConfig):
            yield (
                f"{where}.velocity.network: 'relational_transformer' is for the graphs of multilayer "
                f"perceptrons only, but the networks of zoo {zoo!r} are {architecture.called}"
            )
        by_unit = isinstance(flow.velocity, UnitTransformerConfig) and _among_weights(flow, zoo, context)
        if by_unit and "permutation_spec" not in symmetries:
            yield (
                f"{where}.velocity.network: 'unit_transformer' needs to know which weights belong to a unit, "
                f"but {architecture.called} states no `permutation_spec`, and tracing finds none"
            )
    yield from _other_widths_problems(flow, where, zoo, context)


@planning
def _among_weights(flow: FlowConfig, zoo: str, context: Context) -> bool:
    """Return whether an experiment combines the flow with a zoo's weights as coordinates."""
    config = context.config
    return any(
        cell.zoo == zoo
        and config.generators[cell.generator] is flow
        and config.representations[cell.representation].kind == WEIGHTS
        for cell in config.cells_made()
    )


@planning
def _guidance_problems(flow: FlowConfig, where: str, zoo: str, context: Context) -> Iterator[str]:
    guidance, config = flow.sampling.guidance, context.config
    if guidance is None:
        return
    if context.facts(zoo).normalised:
        yield (
            f"{where}.sampling.guidance: networks with batch normalisation (zoos.{zoo}.architecture) have "
            "running statistics besides their weights, for which there is no gradient; leave it out"
        )
    if guidance.objective is not None:
        key, classes = f"{where}.sampling.guidance.objective", config.zoos[zoo].architecture.classes
        yield from context.objective_problems(guidance.objective, key, classes)
    if (to := guidance.transfer) is None:
        return
    if to not in config.transfers:
        yield f"{where}.sampling.guidance.transfer: {unknown(to, list(config.transfers))}"
    elif config.transfers[to].head == "new":
        yield (
            f"{where}.sampling.guidance.transfer: {to!r} gives networks a new head, but a flow moves "
            f"whole networks; set transfers.{to}.head: kept"
        )
    else:
        yield from context.transfer_problems(zoo, to)


@planning
def _training_problems(flow: FlowConfig, where: str, zoo: str, context: Context) -> Iterator[str]:
    config = context.config.zoos[zoo]
    trainings = len(trajectory_names(config))
    told_apart = trainings < len(network_names(config))
    if flow.condition is not None and flow.condition.variable == "epoch" and not told_apart:
        trained_here = isinstance(config, TrainedZoo)
        cure = f"set zoos.{zoo}.trajectory" if trained_here else f"name {{epoch}} in zoos.{zoo}.import"
        yield (
            f"{where}.condition.variable: 'epoch' distinguishes checkpoints of one training, but "
            f"the networks of zoo {zoo!r} are one of each training; {cure}, or use 'accuracy' or 'loss'"
        )
    yield from _zoo_condition_problems(flow, where, zoo, config)
    yield from flow.training.problems_with_zoo(where, zoo, context)


@planning
def _zoo_condition_problems(flow: FlowConfig, where: str, zoo: str, config: AnyZoo) -> Iterator[str]:
    if not flow.asks_for_zoos:
        return
    if not isinstance(config, JointZoo):
        yield (
            f"{where}.condition.variable: 'zoo' distinguishes the networks of several zoos, but "
            f"{zoo!r} is a single one; fit the flow in a joint zoo, `{{zoos: [{zoo}, ...]}}`, and take "
            "its networks here by a generator of kind 'joint'"
        )
        return
    if flow.sampling.zoo not in (None, *config.members):
        yield f"{where}.sampling.zoo: {unknown(str(flow.sampling.zoo), list(config.members))}"
    if config.narrower:
        yield from _width_problems(flow, where, zoo, config)


@planning
def _width_problems(flow: FlowConfig, where: str, zoo: str, config: JointZoo) -> Iterator[str]:
    """Yield a line for each setting that takes all networks to have the same units."""
    cures = {}
    if flow.source == "kaiming":
        cures["source: 'kaiming'"] = "set source: 'standard'"
    if flow.geometry != "euclidean":
        cures[f"geometry: {flow.geometry!r}"] = "set geometry: 'euclidean'"
    if isinstance(flow.velocity, RelationalTransformerConfig):
        cures[f"velocity.network: {flow.velocity.network!r}"] = (
            "set velocity.network: 'mlp' or 'unit_transformer'"
        )
    for what, cure in cures.items():
        yield (
            f"{where}.{what} needs networks of one width, but those of zoo {zoo!r} differ: "
            f"{', '.join(config.narrower)} have fewer units than others; {cure}"
        )


@planning
def _other_widths_problems(flow: FlowConfig, where: str, zoo: str, context: Context) -> Iterator[str]:
    architecture = context.config.zoos[zoo].architecture
    own = architecture.widths if isinstance(architecture, MLPConfig) else None
    for widths in flow.other_widths:
        if own is None or (widths[0], widths[-1]) != (own[0], own[-1]):
            yield (
                f"{where}.other_widths: found {widths}, but zoo {zoo!r} has "
                f"{own or architecture.called}; multilayer perceptrons with the same inputs and "
                "outputs are possible"
            )
        elif isinstance(flow.velocity, UnitTransformerConfig) and (len(own), len(widths)) != (3, 3):
            yield (
                f"{where}.other_widths: found {widths}, and zoo {zoo!r} has {own}, but a transformer "
                "over units supports other widths of one hidden layer only; use 'relational_transformer'"
            )
        elif len(own) == 3 and len(widths) > 3:
            yield (
                f"{where}.other_widths: found {widths}, but zoo {zoo!r} has {own}, from which "
                "it cannot be learned how two hidden layers connect; use one hidden layer"
            )


@planning
def flow_representation_problems(
    flow: FlowConfig, where: str, representation: str, config: WorkflowConfig
) -> Iterator[str]:
    """Yield a line for every mismatch between a flow and the representation.

    Parameters
    ----------
    flow
        The flow's settings.
    where
        Their key, such as ``generators.flow``.
    representation
        Name of the representation.
    config
        The whole configuration.

    Yields
    ------
    The key, what was found, why it does not fit, and what to change.
    """
    kind = config.representations[representation].kind
    if kind == WEIGHTS:
        return
    cures = {}
    if flow.source == "kaiming":
        cures["source: 'kaiming'"] = "set source: 'standard'"
    if flow.geometry != "euclidean":
        cures[f"geometry: {flow.geometry!r}"] = "set geometry: 'euclidean'"
    if isinstance(flow.velocity, RelationalTransformerConfig):
        cures[f"velocity.network: {flow.velocity.network!r}"] = (
            "set velocity.network: 'mlp' or 'unit_transformer'"
        )
    if flow.sampling.guidance is not None:
        cures["sampling.guidance"] = "leave it out"
    if flow.other_widths:
        cures["other_widths"] = "leave it out"
    for what, cure in cures.items():
        yield (
            f"{where}.{what} needs weights as coordinates, but representations.{representation} has "
            f"kind {kind!r}; {cure}, or use representation {WEIGHTS!r}"
        )


@planning
def flow_subspace_problems(
    flow: FlowConfig, where: str, subspace: str, config: WorkflowConfig
) -> Iterator[str]:
    """Yield a line for every mismatch between a flow and the subspace.

    Parameters
    ----------
    flow
        The flow's settings.
    where
        Their key, such as ``generators.flow``.
    subspace
        Name of the subspace.
    config
        The whole configuration.

    Yields
    ------
    The key, what was found, why it does not fit, and what to change.
    """
    step_by_step = flow.geometry == "geometric" or flow.prediction == "endpoint"
    if step_by_step and flow.sampling.solver != "euler":
        yield (
            f"{where}.sampling.solver: found {flow.sampling.solver!r}, but geodesics are followed, and "
            "endpoints turned into velocities, step by step; use 'euler'"
        )
    if config.subspaces[subspace].method == "none":
        if flow.source == "kaiming" and flow.likelihood is not None:
            yield (
                f"{where}.likelihood: source 'kaiming' has no density over whole networks, whose biases "
                f"all start at zero, and subspace {subspace!r} keeps them whole; use a subspace that "
                "reduces them, or source: 'standard'"
            )
        return
    needed = []
    if not isinstance(flow.velocity, VelocityConfig):
        needed.append(f"velocity.network: {flow.velocity.network!r}")
    if flow.geometry != "euclidean":
        needed.append(f"geometry: {flow.geometry!r}")
    if flow.layers != "all":
        needed.append(f"layers: {flow.layers!r}")
    for what in needed:
        yield (
            f"{where}.{what} needs whole networks, but subspace {subspace!r} reduces them; use a "
            "subspace of method 'none'"
        )
