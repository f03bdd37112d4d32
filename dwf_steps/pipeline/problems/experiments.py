"""Names, and what of a whole experiment does not fit together."""

from collections.abc import Iterator

from dwf_steps.config.dataset import BUILT_IN
from dwf_steps.config.sweep import SECTIONS
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.pipeline.problems.data import transfer_problems, zoo_problems
from dwf_steps.pipeline.problems.generators import (
    control_problems,
    flow_problems,
    flow_use_problems,
    subspace_problems,
)
from dwf_steps.pipeline.problems.methods import architecture_problems, canonicalization_problems
from dwf_steps.pipeline.problems.names import unknown

# Names that would collide with what the workflow writes at the same depth.
RESERVED = {
    "datasets": set(BUILT_IN),
    "zoos": {"data", "transfers", "tables", "figures", "logs", "benchmarks"},
    "canonicalizations": {"zoo", "outputs"},
    "subspaces": {"aligned", "barycentre", "gram", "reference", "zoo_metrics", "zoo_outputs"},
    "recalibrations": {"networks"},
}


def problems_of(config: WorkflowConfig) -> Iterator[str]:
    """Yield a line for everything that is wrong between sections: names, sizes, what does not fit."""
    yield from _reserved_names(config)
    undefined = list(_undefined_names(config))
    yield from undefined
    if undefined:
        return
    cells = config.cells()
    usable = {}
    for name in dict.fromkeys(cell.zoo for cell in cells):
        problems = [*zoo_problems(config, name), *architecture_problems(config, name)]
        yield from problems
        usable[name] = not problems
    for zoo, transfer in dict.fromkeys((cell.zoo, name) for cell, name in config.transferred()):
        if usable[zoo]:
            yield from transfer_problems(config, zoo, transfer)
    for zoo, canon in dict.fromkeys((cell.zoo, cell.canon) for cell in cells):
        if usable[zoo]:
            yield from canonicalization_problems(config, zoo, canon)
    for zoo, subspace in dict.fromkeys((cell.zoo, cell.subspace) for cell in cells):
        if usable[zoo]:
            yield from subspace_problems(config, zoo, subspace)
    for zoo, generator in dict.fromkeys((cell.zoo, cell.generator) for cell in cells):
        if usable[zoo]:
            yield from control_problems(config, zoo, generator)
            yield from flow_use_problems(config, zoo, generator)
    for subspace, generator in dict.fromkeys((cell.subspace, cell.generator) for cell in cells):
        yield from flow_problems(config, subspace, generator)


def _reserved_names(config: WorkflowConfig) -> Iterator[str]:
    for section, reserved in RESERVED.items():
        for name in sorted(reserved & set(getattr(config, section))):
            yield f"{section}.{name}: this name is the workflow's own; choose another"


def _undefined_names(config: WorkflowConfig) -> Iterator[str]:
    for i, experiment in enumerate(config.experiments):
        for section in (*SECTIONS, "transfers"):
            defined = list(getattr(config, section))
            for name in getattr(experiment, section):
                if name not in defined:
                    yield f"experiments.{i}.{section}: {unknown(name, defined)}"
