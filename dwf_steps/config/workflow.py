"""The whole configuration: definitions, experiments, and the checks that need more than one section."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError

from dwf_steps.config.canonicalization import Canonicalization, GitRebasin, Normalized, reference_of
from dwf_steps.config.controls import FRESH, HeldOutConfig, SnapshotsConfig, SoupConfig, TrainedConfig
from dwf_steps.config.dataset import BUILT_IN, TableFile
from dwf_steps.config.evaluation import EvaluationConfig
from dwf_steps.config.generator import FlowConfig, GeneratorConfig, UnitTransformerConfig
from dwf_steps.config.recalibration import Recalibration
from dwf_steps.config.section import NAME_PATTERN, Name, Section
from dwf_steps.config.subspace import DualPCA, IncrementalPCA, SubspaceConfig
from dwf_steps.config.sweep import SECTIONS, Members, expand
from dwf_steps.config.zoo import ImportedZoo, TrainedZoo, ZooConfig, n_training, network_names
from dwf_steps.errors import InputError

# Names that would collide with what the workflow writes at the same depth.
RESERVED = {
    "zoos": {"data", "tables", "figures", "logs", "benchmarks"},
    "canonicalizations": {"zoo", "outputs"},
    "subspaces": {"aligned", "gram", "reference", "zoo_metrics", "zoo_outputs"},
    "recalibrations": {"networks"},
}


class Cell(NamedTuple):
    """One combination of names that an experiment asks for."""

    zoo: str
    canon: str
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
    subspaces: Names
    """Subspaces by name."""
    generators: Names
    """Generators by name."""
    recalibrations: Names = Field(default=["none"])
    """Recalibrations by name; every generator is recalibrated alike."""

    def cells(self) -> Iterator[Cell]:
        """Yield the grid's combinations."""
        for names in product(*(getattr(self, section) for section in SECTIONS)):
            yield Cell(*names)


class WorkflowConfig(Section):
    """Definitions first, then what to run."""

    data_dir: Path = Path("data")
    """Where data sets that no dependency ships are looked for (`MNIST/raw/...`, `FashionMNIST/raw/...`)
    before they are downloaded; the workflow works on its own copy, `results/data`."""
    keep_aligned: bool = True
    """Keep the canonicalized networks' files once they are stacked. Without them a canonicalization takes
    about half the disk space, but other `matrix` settings, `held_out` or `seeds` canonicalize all again."""
    zoos: dict[Name, ZooConfig]
    """Collections of networks."""
    canonicalizations: dict[Name, Canonicalization]
    """Ways of removing symmetries: a list of methods applied in order; `[]` leaves the networks alone."""
    subspaces: dict[Name, SubspaceConfig]
    """Ways of reducing the weight matrix."""
    generators: dict[Name, GeneratorConfig]
    """Flows and controls."""
    recalibrations: dict[Name, Recalibration] = Field(default={"none": []})
    """Ways of repairing generated networks on training examples: a list of methods applied in order; `[]`
    leaves the networks alone."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How networks are judged."""
    experiments: Annotated[list[Experiment], Field(min_length=1)]
    """What to run; `all` is exactly these grids. The name of a definition with a `sweep` asks for all its
    members."""
    _members: Members = PrivateAttr(default_factory=dict)

    @property
    def members(self) -> Members:
        """By section, the definitions that a sweep stands for."""
        return self._members

    def cells(self) -> list[Cell]:
        """Return every combination the experiments ask for, once, in order."""
        return list(dict.fromkeys(cell for experiment in self.experiments for cell in experiment.cells()))

    def fitted_by(self) -> dict[str, str]:
        """Return for each flow the first one that is fitted alike: flows that differ in their sampling share
        one model."""
        first: dict[str, str] = {}
        training = {name: flow.model_dump_json(exclude={"sampling"}) for name, flow in self.flows().items()}
        return {name: first.setdefault(settings, name) for name, settings in training.items()}

    def flows(self) -> dict[str, FlowConfig]:
        """Return the generators that are flows."""
        return {name: g for name, g in self.generators.items() if isinstance(g, FlowConfig)}


def load_config(raw: Mapping[str, Any]) -> WorkflowConfig:
    """Validate a merged configuration and everything that can be known before work starts.

    Raises
    ------
    InputError
        With one line for each problem: the key's full path, what was found, what is allowed.
    """
    expanded, members = expand(raw)
    try:
        config = WorkflowConfig.model_validate(expanded)
    except ValidationError as error:
        raise InputError(_listing([_describe(e, expanded) for e in error.errors()])) from error
    config._members.update(members)
    problems = list(_problems(config))
    if problems:
        raise InputError(_listing(problems))
    return config


def reference_name(zoo: TrainedZoo | ImportedZoo, reference: int | str) -> str:
    """Return the name of the network that ``reference`` stands for (`medoid` stays as it is)."""
    if isinstance(reference, str):
        return reference
    return network_names(zoo)[reference] if isinstance(zoo, ImportedZoo) else f"seed-{reference}"


def _problems(config: WorkflowConfig) -> Iterator[str]:
    yield from _reserved_names(config)
    undefined = list(_undefined_names(config))
    yield from undefined
    if undefined:
        return
    cells = config.cells()
    usable = {}
    for name in dict.fromkeys(cell.zoo for cell in cells):
        problems = list(_zoo_problems(config, name))
        yield from problems
        usable[name] = not problems
    for zoo, canon in dict.fromkeys((cell.zoo, cell.canon) for cell in cells):
        if usable[zoo]:
            yield from _canonicalization_problems(config, zoo, canon)
    for zoo, subspace in dict.fromkeys((cell.zoo, cell.subspace) for cell in cells):
        if usable[zoo]:
            yield from _subspace_problems(config, zoo, subspace)
    for zoo, generator in dict.fromkeys((cell.zoo, cell.generator) for cell in cells):
        if usable[zoo]:
            yield from _control_problems(config, zoo, generator)
    for subspace, generator in dict.fromkeys((cell.subspace, cell.generator) for cell in cells):
        yield from _flow_problems(config, subspace, generator)


def _reserved_names(config: WorkflowConfig) -> Iterator[str]:
    for section, reserved in RESERVED.items():
        for name in sorted(reserved & set(getattr(config, section))):
            yield f"{section}.{name}: this name is the workflow's own; choose another"


def _undefined_names(config: WorkflowConfig) -> Iterator[str]:
    for i, experiment in enumerate(config.experiments):
        for section in SECTIONS:
            defined = list(getattr(config, section))
            for name in getattr(experiment, section):
                if name not in defined:
                    close = difflib.get_close_matches(name, defined, n=1)
                    hint = f"did you mean {close[0]!r}? " if close else ""
                    yield (
                        f"experiments.{i}.{section}: {name!r} is not defined; {hint}"
                        f"Defined: {', '.join(defined)}"
                    )


def _zoo_problems(config: WorkflowConfig, name: str) -> Iterator[str]:
    zoo, where = config.zoos[name], f"zoos.{name}"
    if isinstance(zoo.dataset, TableFile):
        if not zoo.dataset.file.is_file():
            yield (
                f"{where}.dataset.file: there is no file {zoo.dataset.file} (relative to {Path.cwd()}); "
                "correct the path"
            )
    else:
        facts, widths = BUILT_IN[zoo.dataset], zoo.architecture.widths
        if (widths[0], widths[-1]) != (facts.features, facts.classes):
            yield (
                f"{where}.architecture.widths: found {widths}, but {zoo.dataset} has {facts.features} "
                f"features and {facts.classes} classes; the first width must be {facts.features} and the "
                f"last {facts.classes}"
            )
    names = network_names(zoo)
    if isinstance(zoo, ImportedZoo):
        if not names:
            yield (
                f"{where}.import: no .safetensors or .pt file matches {zoo.files!r} (relative to "
                f"{Path.cwd()}); the zoo is empty"
            )
            return
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            yield f"{where}.import: several files share a name: {', '.join(repeated)}; rename them"
    if len(names) - zoo.held_out < 2:
        yield (
            f"{where}.held_out: {zoo.held_out} of {len(names)} networks held out leaves "
            f"{len(names) - zoo.held_out} to work with; at least 2 are needed"
        )


def _canonicalization_problems(config: WorkflowConfig, zoo_name: str, canon: str) -> Iterator[str]:
    zoo, methods = config.zoos[zoo_name], config.canonicalizations[canon]
    where = f"canonicalizations.{canon}"
    if sum(isinstance(method, GitRebasin) for method in methods) > 1:
        yield f"{where}: git_rebasin is listed more than once; once is enough"
    if any(isinstance(m, Normalized) for m in methods) and zoo.architecture.activation != "relu":
        yield (
            f"{where}: 'normalized' needs ReLU networks, but zoos.{zoo_name}.architecture.activation is "
            f"{zoo.architecture.activation!r}; use another canonicalization for this zoo"
        )
    reference, names = reference_of(methods), network_names(zoo)
    training = names[: n_training(zoo)]
    if reference == "medoid":
        return
    if isinstance(reference, int) and not 0 <= reference < len(names):
        yield (
            f"{where}.reference: {reference} does not exist in zoo {zoo_name!r}; expected 0 to "
            f"{len(training) - 1}, a network's name, or 'medoid'"
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


def _subspace_problems(config: WorkflowConfig, zoo_name: str, subspace: str) -> Iterator[str]:
    zoo, method = config.zoos[zoo_name], config.subspaces[subspace]
    if not isinstance(method, DualPCA | IncrementalPCA) or method.components is None:
        return
    n, d = n_training(zoo), zoo.architecture.n_parameters
    most = min(n - 1, d)
    if method.components > most:
        yield (
            f"subspaces.{subspace}.components: found {method.components}, but zoo {zoo_name!r} allows at "
            f"most {most} (n - 1 for {n} training networks, and no more than their {d} weights)"
        )


def _control_problems(config: WorkflowConfig, zoo_name: str, name: str) -> Iterator[str]:
    zoo, control, where = config.zoos[zoo_name], config.generators[name], f"generators.{name}"
    if isinstance(control, HeldOutConfig) and control.sampling.samples > zoo.held_out:
        yield (
            f"{where}.sampling.samples: found {control.sampling.samples}, but zoo {zoo_name!r} holds out "
            f"{zoo.held_out} networks; ask for at most these, or raise zoos.{zoo_name}.held_out"
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


def _flow_problems(config: WorkflowConfig, subspace: str, name: str) -> Iterator[str]:
    velocity = getattr(config.generators[name], "velocity", None)
    if isinstance(velocity, UnitTransformerConfig) and config.subspaces[subspace].method != "none":
        yield (
            f"generators.{name}.velocity.network: 'unit_transformer' needs whole networks, but subspace "
            f"{subspace!r} reduces them; use a subspace of method 'none'"
        )


def _describe(error: Any, raw: Any) -> str:
    """Return one line for a pydantic error: the path as the user wrote it, found, expected."""
    path = ".".join(_path(error["loc"], raw, error["type"] == "missing")) or "the configuration"
    if error["loc"] and error["loc"][-1] == "[key]":
        return (
            f"{path}: {error['input']!r} cannot be a name; names become folders and wildcards and must "
            f"match {NAME_PATTERN}"
        )
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in {"value_error", "missing"}:
        return f"{path}: {'this key is required' if error['type'] == 'missing' else message}"
    if error["type"] == "union_tag_not_found":
        return f"{path}: {message}"
    expected = message.replace("Input should be", "expected").replace("Input tag", "found")
    return f"{path}: found {error['input']!r}; {expected}"


def _path(location: tuple[int | str, ...], raw: Any, last_is_missing: bool) -> Iterator[str]:
    """Yield the parts of ``location`` that are keys, leaving out pydantic's union tags."""
    for i, part in enumerate(location):
        is_key = isinstance(raw, Mapping) and part in raw
        is_item = isinstance(raw, list) and isinstance(part, int)
        if is_key or is_item:
            raw = raw[part]
            yield str(part)
        elif last_is_missing and i == len(location) - 1:
            yield str(part)


def _listing(problems: list[str]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"the configuration has {count}:", *(f"  - {problem}" for problem in problems)])
