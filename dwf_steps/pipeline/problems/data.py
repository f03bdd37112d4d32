"""Data and networks that do not fit one another."""

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
    TrainedZoo,
    TrainingConfig,
    network_names,
    trajectory_names,
)

LONGEST_FILE_NAME = 255  # bytes, on Linux' and macOS' file systems
COPY_SUFFIX = ".safetensors"  # of the copy that the workflow makes of an imported network


def zoo_problems(config: WorkflowConfig, name: str) -> Iterator[str]:
    zoo, where = config.zoos[name], f"zoos.{name}"
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
            yield (
                f"{where}.import: no .safetensors or .pt file matches {zoo.files!r} (relative to "
                f"{Path.cwd()}); the zoo is empty"
            )
            return
        repeated = sorted(name for name, count in Counter(names).items() if count > 1)
        if repeated:
            yield f"{where}.import: several files share a name: {', '.join(repeated)}; rename them"
        yield from _file_name_problems(zoo, where)
    trained = len(trajectory_names(zoo))
    if trained < 2:
        yield (
            f"{where}.import: found {trained} network ({names[0]!r}), expected 2 at least; a zoo's networks "
            "are compared with each other"
        )
    elif trained - zoo.held_out < 2:
        what = "networks" if trained == len(names) else "trajectories"
        yield (
            f"{where}.held_out: {zoo.held_out} of {trained} {what} held out leaves "
            f"{trained - zoo.held_out} to work with; at least 2 are needed"
        )


def _file_name_problems(zoo: ImportedZoo, where: str) -> Iterator[str]:
    """Names that the files' copies cannot have, or that texts cannot hold."""
    for path in zoo.paths:
        name = os.fsencode(path.stem)
        if len(name) + len(COPY_SUFFIX) > LONGEST_FILE_NAME:
            yield (
                f"{where}.import: the name {path.name!r} has {len(name)} bytes before its ending, at most "
                f"{LONGEST_FILE_NAME - len(COPY_SUFFIX)} are possible; rename the file"
            )
        try:
            str(path).encode()
        except UnicodeEncodeError:
            yield f"{where}.import: the path {str(path)!r} is not UTF-8; rename the file"


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
        elif path.suffix == ".parquet" and path.is_file() and (error := parquet_error(path)):
            yield f"datasets.{name}.{key}: {path} is not a readable parquet file ({error}); replace it"
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


def transfer_problems(config: WorkflowConfig, zoo_name: str, name: str) -> Iterator[str]:
    """What does not fit between a zoo's networks and the data they are taken to."""
    transfer, where = config.transfers[name], f"transfers.{name}"
    network = config.zoos[zoo_name].architecture
    if transfer.dataset not in BUILT_IN and transfer.dataset not in config.datasets:
        yield f"{where}.dataset: {unknown(transfer.dataset, [*BUILT_IN, *config.datasets])}"
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
