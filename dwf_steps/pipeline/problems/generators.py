"""Subspaces and generators that a zoo does not allow."""

from collections.abc import Iterator

from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.controls import (
    FRESH,
    HeldOutConfig,
    SnapshotsConfig,
    SoupConfig,
    TrainedConfig,
)
from dwf_steps.config.generator import FlowConfig, UnitTransformerConfig, VelocityConfig
from dwf_steps.config.subspace import DualPCA, IncrementalPCA
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.config.zoo import (
    ImportedZoo,
    n_held_out,
    n_training,
)
from dwf_steps.pipeline.network_facts import network_facts
from dwf_steps.pipeline.problems.data import transfer_problems
from dwf_steps.pipeline.problems.names import unknown


def subspace_problems(config: WorkflowConfig, zoo_name: str, subspace: str) -> Iterator[str]:
    zoo, method = config.zoos[zoo_name], config.subspaces[subspace]
    if not isinstance(method, DualPCA | IncrementalPCA) or method.components is None:
        return
    n, d = n_training(zoo), network_facts(zoo.architecture).n_parameters
    most = min(n - 1, d)
    if method.components > most:
        yield (
            f"subspaces.{subspace}.components: found {method.components}, but zoo {zoo_name!r} allows at "
            f"most {most} (n - 1 for {n} training networks, and no more than their {d} weights)"
        )


def control_problems(config: WorkflowConfig, zoo_name: str, name: str) -> Iterator[str]:
    zoo, control, where = config.zoos[zoo_name], config.generators[name], f"generators.{name}"
    if isinstance(control, HeldOutConfig) and control.sampling.samples > n_held_out(zoo):
        yield (
            f"{where}.sampling.samples: found {control.sampling.samples}, but zoo {zoo_name!r} holds out "
            f"{n_held_out(zoo)} networks; ask for at most these, or raise zoos.{zoo_name}.held_out"
        )
    if isinstance(control, SoupConfig) and control.networks > n_training(zoo):
        yield (
            f"{where}.networks: found {control.networks}, but zoo {zoo_name!r} has {n_training(zoo)} "
            "training networks; average at most these"
        )
    if isinstance(control, TrainedConfig | SnapshotsConfig) and isinstance(zoo, ImportedZoo):
        yield f"{where}: zoo {zoo_name!r} was imported: it has no training to repeat; leave {name} out"
    if isinstance(control, TrainedConfig) and (other := control.equal_cost_to) is not None:
        priced = config.generators.get(other)
        if priced is None or priced.kind in FRESH:
            choices = [key for key, generator in config.generators.items() if generator.kind not in FRESH]
            yield (
                f"{where}.equal_cost_to: {other!r} is no generator with a cost of its own; expected one of "
                f"{', '.join(choices)}"
            )


def flow_problems(config: WorkflowConfig, subspace: str, name: str) -> Iterator[str]:
    flow = config.generators[name]
    if not isinstance(flow, FlowConfig):
        return
    step_by_step = flow.geometry == "geometric" or flow.prediction == "endpoint"
    if step_by_step and flow.sampling.solver != "euler":
        yield (
            f"generators.{name}.sampling.solver: found {flow.sampling.solver!r}, but geodesics are followed, "
            "and endpoints turned into velocities, step by step; use 'euler'"
        )
    if config.subspaces[subspace].method == "none":
        return
    needed = []
    if not isinstance(flow.velocity, VelocityConfig):
        needed.append(f"velocity.network: {flow.velocity.network!r}")
    if flow.geometry != "euclidean":
        needed.append(f"geometry: {flow.geometry!r}")
    for what in needed:
        yield (
            f"generators.{name}.{what} needs whole networks, but subspace {subspace!r} reduces them; use a "
            "subspace of method 'none'"
        )


def flow_use_problems(config: WorkflowConfig, zoo_name: str, name: str) -> Iterator[str]:
    """What a flow is asked for that does not fit the zoo's networks."""
    flow, zoo = config.generators[name], config.zoos[zoo_name]
    if not isinstance(flow, FlowConfig):
        return
    where = f"generators.{name}"
    guidance = flow.sampling.guidance
    if guidance is not None and (to := guidance.transfer) is not None:
        if to not in config.transfers:
            yield f"{where}.sampling.guidance.transfer: {unknown(to, list(config.transfers))}"
        elif config.transfers[to].head == "new":
            yield (
                f"{where}.sampling.guidance.transfer: {to!r} gives networks a new head, but a flow moves "
                f"whole networks; set transfers.{to}.head: kept"
            )
        else:
            yield from transfer_problems(config, zoo_name, to)
    own = zoo.architecture.widths if isinstance(zoo.architecture, MLPConfig) else None
    for widths in flow.other_widths:
        if own is None or (widths[0], widths[-1]) != (own[0], own[-1]):
            yield (
                f"{where}.other_widths: found {widths}, but zoo {zoo_name!r} has "
                f"{own or zoo.architecture.called}; multilayer perceptrons with the same inputs and "
                "outputs are possible"
            )
        elif isinstance(flow.velocity, UnitTransformerConfig) and (len(own), len(widths)) != (3, 3):
            yield (
                f"{where}.other_widths: found {widths}, and zoo {zoo_name!r} has {own}, but a transformer "
                "over units knows other widths of one hidden layer only; use 'relational_transformer'"
            )
        elif len(own) == 3 and len(widths) > 3:
            yield (
                f"{where}.other_widths: found {widths}, but zoo {zoo_name!r} has {own}, from which "
                "nothing is known of a hidden layer that follows another one; use one hidden layer"
            )
