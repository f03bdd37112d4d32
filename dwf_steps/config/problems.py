"""The checks that need more than one section of the configuration."""

from collections.abc import Iterator
from pathlib import Path

from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.canonicalization import Method, WeightMatching, reference_of
from dwf_steps.config.controls import (
    FRESH,
    HeldOutConfig,
    RandomInitConfig,
    SnapshotsConfig,
    SoupConfig,
    TrainedConfig,
)
from dwf_steps.config.dataset import BUILT_IN, DatasetFacts, Shape, TableFile, TextFiles, facts_of
from dwf_steps.config.generator import FlowConfig, UnitTransformerConfig
from dwf_steps.config.recalibration import BatchNorm, LastLayer, ReferenceStatistics, Repair
from dwf_steps.config.section import did_you_mean
from dwf_steps.config.subspace import DualPCA, IncrementalPCA
from dwf_steps.config.sweep import SECTIONS
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.config.zoo import (
    ImportedZoo,
    TrainedZoo,
    TrainingConfig,
    n_training,
    network_names,
    reference_name,
)
from dwf_steps.errors import InputError

# Method -> what an architecture must state for it.
NEEDED = {"git_rebasin": "permutation_spec", "normalized": "rescaling_spec", "transfusion": "attention_spec"}

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
        problems = [*_zoo_problems(config, name), *_architecture_problems(config, name)]
        yield from problems
        usable[name] = not problems
    for zoo, transfer in dict.fromkeys((cell.zoo, name) for cell, name in config.transferred()):
        if usable[zoo]:
            yield from _transfer_problems(config, zoo, transfer)
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
        for section in (*SECTIONS, "transfers"):
            defined = list(getattr(config, section))
            for name in getattr(experiment, section):
                if name not in defined:
                    yield f"experiments.{i}.{section}: {_unknown(name, defined)}"


def _unknown(name: str, defined: list[str]) -> str:
    return f"{name!r} is not defined; {did_you_mean(name, defined)}Defined: {', '.join(defined)}"


def _zoo_problems(config: WorkflowConfig, name: str) -> Iterator[str]:
    zoo, where = config.zoos[name], f"zoos.{name}"
    if isinstance(zoo.dataset, TableFile):
        if not zoo.dataset.file.is_file():
            yield (
                f"{where}.dataset.file: there is no file {zoo.dataset.file} (relative to {Path.cwd()}); "
                "correct the path"
            )
        yield from _augmentation_problems(getattr(zoo, "training", None), None, where)
        yield from _output_problems(zoo, 1 if zoo.dataset.regression else None, where)
    elif zoo.dataset in BUILT_IN or zoo.dataset in config.datasets:
        yield from _data_problems(config, name)
    else:
        yield f"{where}.dataset: {_unknown(zoo.dataset, [*BUILT_IN, *config.datasets])}"
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


def _missing_files(config: WorkflowConfig, name: str) -> Iterator[str]:
    """Files of images or texts of one's own that are not there."""
    dataset = config.datasets[name]
    texts = isinstance(dataset, TextFiles)
    endings, other = ((".csv", ".parquet"), "a .csv") if texts else ((".parquet",), "a folder")
    paths = [("train", dataset.train), ("test", dataset.test)]
    for key, path in [(key, path) for key, path in paths if path is not None]:
        if not ((path.is_dir() and not texts) or (path.suffix in endings and path.is_file())):
            yield (
                f"datasets.{name}.{key}: {path} (relative to {Path.cwd()}) is neither {other} nor a .parquet "
                "file; correct the path"
            )
    if isinstance(dataset, TextFiles) and dataset.tokenizer and not dataset.tokenizer.is_dir():
        yield (
            f"datasets.{name}.tokenizer: there is no folder {dataset.tokenizer} (relative to {Path.cwd()}); "
            "correct the path, or leave it out to have one trained"
        )


def _data_problems(config: WorkflowConfig, name: str) -> Iterator[str]:
    """Files that are not there, and sizes that do not fit, of a data set with a name."""
    zoo, where = config.zoos[name], f"zoos.{name}"
    dataset, architecture = config.dataset(zoo), zoo.architecture
    if zoo.dataset in config.datasets and (missing := list(_missing_files(config, str(zoo.dataset)))):
        yield from missing
        return
    if isinstance(dataset, TextFiles) and isinstance(architecture, MLPConfig | ResNetConfig | ViTConfig):
        yield (
            f"{where}.architecture: {architecture.called} networks cannot read texts, which {zoo.dataset} "
            "holds; use bert, or a module of your own"
        )
        return
    if architecture.vocabulary_size is not None:
        if not isinstance(dataset, TextFiles):
            yield f"{where}.architecture: {architecture.called} reads texts, but {zoo.dataset} holds none"
            return
        if dataset.tokenizer is None and dataset.vocabulary > architecture.vocabulary_size:
            yield (
                f"{where}.architecture.vocabulary: found {architecture.vocabulary_size}, but the tokenizer "
                f"of {zoo.dataset} may have {dataset.vocabulary} tokens; give both the same"
            )
    facts = facts_of(dataset)
    classes = architecture.classes if facts.classes is None else facts.classes
    if (architecture.features, architecture.classes) != (facts.features, classes):
        yield (
            f"{where}.architecture.{architecture.needed}, but {zoo.dataset} has {facts.features} features "
            f"and {'a number to predict, by one output' if classes == 1 else f'{classes} classes'}"
        )
    else:
        yield from _output_problems(zoo, facts.classes, where)
    yield from _shift_problems(zoo.out_of_distribution, facts, where)
    yield from _augmentation_problems(getattr(zoo, "training", None), facts.shape, where)


def _output_problems(zoo: TrainedZoo | ImportedZoo, outputs: int | None, where: str) -> Iterator[str]:
    """What needs classes, asked of networks that predict numbers, and the other way round."""
    if outputs == 1 and zoo.out_of_distribution is not None:
        yield (
            f"{where}.out_of_distribution: is told by the entropy of predicted classes, but the targets are "
            "numbers; leave it out"
        )
    if outputs == 1 and zoo.architecture.classes != 1:
        yield (
            f"{where}.architecture: has {zoo.architecture.classes} outputs, but the target is a number, "
            "predicted by one"
        )
    if outputs is None and zoo.architecture.classes == 1:
        yield (
            f"{where}.architecture: one output predicts a number; where targets are numbers, set "
            "`regression` for the data, otherwise give the network an output for each class"
        )


def _augmentation_problems(training: TrainingConfig | None, shape: Shape | None, where: str) -> Iterator[str]:
    if training and training.augmentation and shape is None:
        yield f"{where}.training.augmentation: needs images, but the data are none; leave it out"


def _shift_problems(shift: str | None, facts: DatasetFacts, where: str) -> Iterator[str]:
    if shift in BUILT_IN and BUILT_IN[shift].shape != facts.shape:
        yield (
            f"{where}.out_of_distribution: the images of {shift} are {BUILT_IN[shift].shape} (channels, "
            f"height, width), but the networks' data are {facts.shape or 'a table'}; choose another data "
            "set, 'rotated' or 'shuffled'"
        )
    if shift == "rotated" and facts.shape is None:
        yield f"{where}.out_of_distribution: 'rotated' needs images, but the data are a table; use 'shuffled'"


def _canonicalization_problems(config: WorkflowConfig, zoo_name: str, canon: str) -> Iterator[str]:
    zoo, methods = config.zoos[zoo_name], config.canonicalizations[canon]
    where = f"canonicalizations.{canon}"
    for name in ("git_rebasin", "transfusion"):
        if sum(method.method == name for method in methods) > 1:
            yield f"{where}: {name} is listed more than once; once is enough"
    if sum(isinstance(method, WeightMatching) and method.target == "barycentre" for method in methods) > 1:
        yield f"{where}: several methods match to a barycentre; let the last of them do so alone"
    yield from _missing_symmetries(config, zoo_name, methods, where)
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


def _missing_symmetries(
    config: WorkflowConfig, zoo_name: str, methods: list[Method], where: str
) -> Iterator[str]:
    """Methods that remove a symmetry which a zoo's networks have not, or do not state."""
    architecture = config.zoos[zoo_name].architecture
    for method in methods:
        needed = NEEDED[method.method]
        if needed in architecture.symmetries:
            continue
        if isinstance(architecture, ModuleConfig):
            cure = f"give its module a method `{needed}`, or use another canonicalization for this zoo"
        else:
            cure = "use another canonicalization for this zoo"
        yield (
            f"{where}: {method.method!r} removes a symmetry that zoos.{zoo_name}.architecture "
            f"({architecture.called}) does not have; {cure}"
        )


def _architecture_problems(config: WorkflowConfig, name: str) -> Iterator[str]:
    """What only some networks can do, asked of others."""
    zoo, where = config.zoos[name], f"zoos.{name}"
    try:
        zoo.architecture.n_parameters  # noqa: B018
    except InputError as error:
        yield f"{where}.architecture: {error}"
        return
    cells = [cell for cell in config.cells() if cell.zoo == name]
    for recalibration in dict.fromkeys(cell.recalibration for cell in cells):
        yield from _recalibration_problems(config, name, recalibration)
    if isinstance(zoo.architecture, MLPConfig):
        return
    if isinstance(zoo, TrainedZoo) and set(zoo.initialisations) != {"default"}:
        yield (
            f"{where}.initialisations: found {', '.join(zoo.initialisations)}, but {zoo.architecture.called} "
            "networks initialise themselves; use [default]"
        )
    for key in dict.fromkeys(cell.generator for cell in cells):
        generator, where = config.generators[key], f"generators.{key}"
        if isinstance(generator, RandomInitConfig) and generator.initialisation != "default":
            yield (
                f"{where}.initialisation: found {generator.initialisation!r}, but {zoo.architecture.called} "
                "networks initialise themselves; use default"
            )
        if isinstance(generator, FlowConfig) and generator.source == "kaiming":
            yield (
                f"{where}.source: 'kaiming' needs multilayer perceptrons, but the networks of zoo {name!r} "
                f"are {zoo.architecture.called}; use 'standard'"
            )
        if (
            isinstance(generator, FlowConfig)
            and isinstance(generator.velocity, UnitTransformerConfig)
            and NEEDED["git_rebasin"] not in zoo.architecture.symmetries
        ):
            yield (
                f"{where}.velocity.network: 'unit_transformer' must know which weights belong to a unit, but "
                f"{zoo.architecture.called} states no `{NEEDED['git_rebasin']}`"
            )


def _recalibration_problems(config: WorkflowConfig, zoo_name: str, name: str) -> Iterator[str]:
    """What only some networks can be repaired by, asked of others."""
    zoo, where = config.zoos[zoo_name], f"recalibrations.{name}"
    network, n = zoo.architecture, n_training(zoo)
    for method in config.recalibrations[name]:
        if isinstance(method, LastLayer | Repair) and not isinstance(network, MLPConfig):
            yield (
                f"{where}: {method.method} knows the layers of multilayer perceptrons alone, but the "
                f"networks of zoo {zoo_name!r} are {network.called}; use fine_tune"
            )
        if isinstance(method, LastLayer) and network.classes == 1:
            yield f"{where}: last_layer refits classes, but the networks of zoo {zoo_name!r} predict a number"
        if isinstance(method, BatchNorm | ReferenceStatistics) and not network.normalised:
            yield (
                f"{where}: {method.method} sets the running statistics of batch normalisation, which the "
                f"networks of zoo {zoo_name!r} ({network.called}) do not have; leave it out for this zoo"
            )
        if isinstance(method, ReferenceStatistics) and method.network >= n:
            yield (
                f"{where}.network: {method.network} does not exist in zoo {zoo_name!r}; expected a training "
                f"network, 0 to {n - 1}"
            )


def _transfer_problems(config: WorkflowConfig, zoo_name: str, name: str) -> Iterator[str]:
    """What does not fit between a zoo's networks and the data they are taken to."""
    transfer, where = config.transfers[name], f"transfers.{name}"
    network = config.zoos[zoo_name].architecture
    if transfer.dataset not in BUILT_IN and transfer.dataset not in config.datasets:
        yield f"{where}.dataset: {_unknown(transfer.dataset, [*BUILT_IN, *config.datasets])}"
        return
    facts = facts_of(config.dataset(transfer))
    features = facts.features
    if transfer.size is not None:
        if facts.shape is None:
            yield f"{where}.size: {transfer.dataset} has no images to scale; leave it out"
        else:
            features = facts.shape[0] * transfer.size**2
    if features != network.features:
        yield (
            f"{where}: the networks of zoo {zoo_name!r} take {network.features} features, but "
            f"{transfer.dataset} has {features}; choose a `size` or another data set"
        )
    if transfer.head == "new" and isinstance(network, ModuleConfig):
        yield f"{where}.head: only built-in architectures get a new head; keep it, and name `classes`"
    outputs = [k for k in transfer.classes or range(facts.classes or 0) if k is not None]
    if transfer.head == "kept" and max(outputs, default=0) >= network.classes:
        yield (
            f"{where}.classes: output {max(outputs)} does not exist, the networks of zoo {zoo_name!r} have "
            f"{network.classes}; name outputs with `classes`, or use a new head"
        )
    if transfer.classes is not None and facts.classes not in (None, len(transfer.classes)):
        yield (
            f"{where}.classes: found {len(transfer.classes)}, but {transfer.dataset} has {facts.classes} "
            "classes; name an output for each, or null"
        )
    yield from _augmentation_problems(transfer.training, facts.shape, where)


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
