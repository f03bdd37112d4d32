"""Checks of data and networks against each other."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.dataset import (
    BUILT_IN,
    DatasetFacts,
    DerivedData,
    ImageFiles,
    Shape,
    TableFile,
    TextFiles,
    facts_of,
    parquet_error,
)
from dwf_steps.config.section import unknown
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.config.zoo import (
    ImportedZoo,
    JointZoo,
    TrainedZoo,
    TrainingConfig,
    network_names,
    trajectory_names,
)

LONGEST_FILE_NAME = 255  # bytes, in the file systems of Linux and macOS
COPY_SUFFIX = ".safetensors"  # of the workflow's copy of an imported network


def zoo_problems(config: WorkflowConfig, name: str) -> Iterator[str]:
    """Yield a line for everything that is wrong with a zoo: its data, networks and files.

    Parameters
    ----------
    config
        The configuration.
    name
        Name of the zoo.

    Yields
    ------
    The key, what was found, and what to change.
    """
    zoo, where = config.zoos[name], f"zoos.{name}"
    if isinstance(zoo, JointZoo):
        yield from _joint_problems(name, zoo)
        return
    if isinstance(zoo.dataset, TableFile):
        for key, file in (("file", zoo.dataset.file), ("test", zoo.dataset.test)):
            if file is not None and not file.is_file():
                yield (
                    f"{where}.dataset.{key}: there is no file {file} (relative to {Path.cwd()}); "
                    "correct the path"
                )
        yield from _augmentation_problems(getattr(zoo, "training", None), None, where)
        yield from _output_problems(zoo, 1 if zoo.dataset.regression else None, where)
    elif zoo.dataset in BUILT_IN or zoo.dataset in config.datasets:
        yield from _data_problems(config, name)
    else:
        yield f"{where}.dataset: {unknown(zoo.dataset, [*BUILT_IN, *config.datasets])}"
    names = network_names(zoo)
    if isinstance(zoo, ImportedZoo):
        if not names:
            numbers = ", {seed}, {epoch} and {step} being numbers" if "{" in str(zoo.files) else ""
            yield (
                f"{where}.import: no .safetensors or .pt file matches {zoo.files!r} (relative to "
                f"{Path.cwd()}{numbers}); the zoo is empty"
            )
            return
        repeated = sorted(name for name, count in Counter(names).items() if count > 1)
        if repeated:
            yield (
                f"{where}.import: several files share a name, even with the folders in which their paths "
                f"differ: {', '.join(repeated)}; rename them"
            )
        yield from _file_name_problems(zoo, where)
        yield from _unrecorded(zoo, where)
    trained = len(trajectory_names(zoo))
    if trained < 2:
        what = f"network ({names[0]!r})" if len(names) == 1 else f"training, of {len(names)} networks"
        yield (
            f"{where}.import: found {trained} {what}, expected 2 at least; a zoo's networks are compared "
            "with each other"
        )
    elif trained - zoo.held_out < 2:
        what = "networks" if trained == len(names) else "trajectories"
        yield (
            f"{where}.held_out: {zoo.held_out} of {trained} {what} held out leaves "
            f"{trained - zoo.held_out} to work with; at least 2 are needed"
        )


def _joint_problems(name: str, joint: JointZoo) -> Iterator[str]:
    """Yield a line for members of a joint zoo whose networks cannot be padded to one architecture."""
    first, *others = joint.members.items()
    for member, zoo in others:
        if (own := first[1].architecture).joined(found := zoo.architecture) is None:
            yield (
                f"zoos.{name}.zoos: zoos.{first[0]}.architecture and zoos.{member}.architecture differ "
                f"({own!r} and {found!r}), but networks of one training set share it; multilayer perceptrons "
                "of one depth, and ResNets of one kind, may differ in the widths of hidden layers, and in "
                "nothing else. Leave one of the two zoos out"
            )


def _file_name_problems(zoo: ImportedZoo, where: str) -> Iterator[str]:
    """Yield a line for names that are too long for copies of the files, or not UTF-8."""
    for network in zoo.networks:
        name = os.fsencode(network.name)
        if len(name) + len(COPY_SUFFIX) > LONGEST_FILE_NAME:
            yield (
                f"{where}.import: the name {network.name!r} has {len(name)} bytes, at most "
                f"{LONGEST_FILE_NAME - len(COPY_SUFFIX)} are possible; rename the file"
            )
        try:
            str(network.path).encode()
        except UnicodeEncodeError:
            yield f"{where}.import: the path {str(network.path)!r} is not UTF-8; rename the file"


def _unrecorded(zoo: ImportedZoo, where: str) -> Iterator[str]:
    """Yield a line for missing files of recorded values."""
    if zoo.recorded is None:
        return
    paths = dict.fromkeys(zoo.recorded.path(network) for network in zoo.networks)
    if missing := [path for path in paths if not path.is_file()]:
        others = len(missing) - 1
        more = f", nor {others} {'other' if others == 1 else 'others'}" if others else ""
        yield (
            f"{where}.recorded.file: there is no file {missing[0]} (relative to {Path.cwd()}){more}; correct "
            "the path"
        )


def _missing_files(config: WorkflowConfig, name: str) -> Iterator[str]:
    """Yield a line for missing or unreadable files of the user's images or texts."""
    dataset = config.datasets[name]
    assert isinstance(dataset, ImageFiles | TextFiles)
    texts = isinstance(dataset, TextFiles)
    endings, other = ((".csv", ".parquet"), "a .csv") if texts else ((".parquet",), "a folder")
    paths = [("train", dataset.train), ("test", dataset.test)]
    for key, path in [(key, path) for key, path in paths if path is not None]:
        if not ((path.is_dir() and not texts) or (path.suffix in endings and path.is_file())):
            yield (
                f"datasets.{name}.{key}: {path} (relative to {Path.cwd()}) is neither {other} nor a .parquet "
                "file; correct the path"
            )
        elif path.suffix == ".parquet" and path.is_file() and (error := parquet_error(path)):
            yield f"datasets.{name}.{key}: {path} is not a readable parquet file ({error}); replace it"
    if isinstance(dataset, TextFiles) and dataset.tokenizer and not dataset.tokenizer.is_dir():
        yield (
            f"datasets.{name}.tokenizer: there is no folder {dataset.tokenizer} (relative to {Path.cwd()}); "
            "correct the path, or leave it out to have one trained"
        )


def _derived_problems(config: WorkflowConfig, name: str, derived: DerivedData) -> Iterator[str]:
    """Yield a line for changes that the data do not allow."""
    where, sources = f"datasets.{name}", [*BUILT_IN, *config.datasets]
    if derived.of not in sources:
        yield f"{where}.of: {unknown(derived.of, sources)}"
        return
    source = config.datasets.get(derived.of, derived.of)
    if isinstance(source, DerivedData):
        yield (
            f"{where}.of: {derived.of!r} is derived itself; name what it is derived from, {source.of!r}, and "
            "all changes"
        )
        return
    facts = facts_of(source)  # type: ignore[arg-type]
    if facts.shape is None and derived.size is not None:
        yield f"{where}.size: {derived.of} has no images to scale; leave it out"
    shape = derived.facts(facts).shape
    if derived.change == "rotated" and (shape is None or shape[1] != shape[2]):
        yield (
            f"{where}.change: 'rotated' needs square images, but {derived.of} has {shape or 'none'}; leave "
            "it out"
        )
    if derived.classes is not None and facts.classes not in (None, len(derived.classes)):
        holds = "numbers to predict" if facts.classes == 1 else f"{facts.classes} classes"
        yield (
            f"{where}.classes: found {len(derived.classes)}, but {derived.of} has {holds}; name what each of "
            "its classes becomes, or null"
        )


def _data_problems(config: WorkflowConfig, name: str) -> Iterator[str]:
    """Yield a line for missing files and mismatched sizes of a named data set."""
    zoo, where = config.zoos[name], f"zoos.{name}"
    assert not isinstance(zoo, JointZoo)
    if derived := config.derived(zoo):
        wrong = list(_derived_problems(config, str(zoo.dataset), derived))
        yield from wrong
        if wrong:
            return
    dataset, architecture = config.dataset(zoo), zoo.architecture
    source = derived.of if derived else str(zoo.dataset)
    if source in config.datasets and (missing := list(_missing_files(config, source))):
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
    facts = config.dataset_facts(zoo)
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
    """Yield a line for classification settings in regression tasks, and for mismatched outputs."""
    if outputs == 1 and zoo.out_of_distribution is not None:
        yield (
            f"{where}.out_of_distribution: needs the entropy of predicted classes, but the targets are "
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
        yield f"{where}.training.augmentation: needs images, but the data are not images; leave it out"


def _shift_problems(shift: str | None, facts: DatasetFacts, where: str) -> Iterator[str]:
    if shift in BUILT_IN and BUILT_IN[shift].shape != facts.shape:
        yield (
            f"{where}.out_of_distribution: the images of {shift} are {BUILT_IN[shift].shape} (channels, "
            f"height, width), but the networks' data are {facts.shape or 'a table'}; choose another data "
            "set, 'rotated' or 'shuffled'"
        )
    if shift == "rotated" and facts.shape is None:
        yield f"{where}.out_of_distribution: 'rotated' needs images, but the data are a table; use 'shuffled'"


def transfer_problems(config: WorkflowConfig, zoo_name: str, name: str) -> Iterator[str]:
    """Yield a line for every mismatch between a zoo's networks and a transfer.

    Parameters
    ----------
    config
        The configuration.
    zoo_name
        Name of the zoo.
    name
        Name of the transfer.

    Yields
    ------
    The key, what was found, and what to change.
    """
    transfer, where = config.transfers[name], f"transfers.{name}"
    network = config.zoos[zoo_name].architecture
    if transfer.dataset not in BUILT_IN and transfer.dataset not in config.datasets:
        yield f"{where}.dataset: {unknown(transfer.dataset, [*BUILT_IN, *config.datasets])}"
        return
    if derived := config.derived(transfer):
        yield (
            f"{where}.dataset: {transfer.dataset!r} is derived from {derived.of!r}; name that one, and set "
            f"{where}.size and {where}.classes"
        )
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
