"""Zoos: networks trained here, or brought along."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PrivateAttr, Tag, model_validator

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.dataset import Shift, SplitsConfig, TableFile
from dwf_steps.config.imported_networks import ImportedNetwork, imported_networks, trajectory_sizes
from dwf_steps.config.matrix import MatrixConfig
from dwf_steps.config.network_files import NetworkFiles
from dwf_steps.config.patterns import filled_in, groups_of
from dwf_steps.config.section import Name, Section
from dwf_steps.runtime.errors import InputError


class Augmentation(Section):
    """Random changes of training images."""

    crop: Annotated[int, Field(ge=0)] = 4
    """Pixels by which an image is shifted at most, in either direction."""
    flip: bool = True
    """Whether half of the images are mirrored left to right."""


class Optimization(Section):
    """How networks are optimised, however long."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """The optimiser."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay (L2 penalty for adam and sgd, decoupled for adamw)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Momentum of sgd."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Examples a step."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rate falls to zero over the whole training, if it does."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training in which the learning rate rises linearly from zero."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Largest Euclidean norm of a network's gradient."""
    augmentation: Augmentation | None = None
    """Random changes of training images, drawn for every network by itself."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of activations in training; weights are float32."""
    channels_last: bool = False
    """Whether images lie in memory pixel by pixel, which wide convolutions on most hardware prefer."""


class TrainingConfig(Optimization):
    """How each network of a zoo is trained (cross-entropy, its own shuffling every epoch)."""

    epochs: Annotated[int, Field(ge=0)] = 5
    """Passes over the training set; 0 keeps the initial networks."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop a network after so many epochs without a lower validation loss, and keep its best epoch.
    Without it the last epoch is kept."""


class Trajectory(Section):
    """Checkpoints along each network's training, all of them networks of the zoo."""

    checkpoints: Annotated[int, Field(ge=1)]
    """How many are kept of each training."""
    every: Annotated[int, Field(ge=1)]
    """Batches from one to the next."""
    skip_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Epochs before the first ones are counted: the first checkpoint follows `every` batches later."""

    def steps(self, batches_per_epoch: int) -> list[int]:
        """Return after how many batches each checkpoint is kept."""
        start = round(self.skip_epochs * batches_per_epoch)
        return [start + self.every * (k + 1) for k in range(self.checkpoints)]


FIRST_SEED = 10**9
"""Of networks that no zoo has: zoos count their seeds from 0."""


class NetworkPlan(Section):
    """One network to train."""

    name: str
    """File and row name; of checkpoints that of their trajectory."""
    seed: int
    """Decides the initial weights and the batches, whatever shard the network is trained in."""
    initialisation: Initialisation
    """How its first weights are drawn."""


class ZooBase(Section):
    dataset: Name | TableFile
    """The name of a built-in data set or of one under `datasets`, or a table of your own:
    `{file: my.csv, target: species}`."""
    splits: SplitsConfig = SplitsConfig()
    """How the data are divided."""
    architecture: ArchitectureConfig
    """The networks' architecture."""
    matrix: MatrixConfig = MatrixConfig()
    """How the weight matrix is stored and streamed."""
    out_of_distribution: Shift | None = None
    """What ensembles should find strange: the test images `rotated` by a quarter, the test inputs with their
    features `shuffled`, or another data set's images."""
    held_out: Annotated[int, Field(ge=0)] = 0
    """How many networks, the last ones, are kept from alignment references, subspaces and generators;
    they show what novelty a truly new network has. Of checkpoints whole trajectories, so many of them."""


class TrainedZoo(ZooBase):
    """A zoo trained here, one network a seed, or the checkpoints of its training."""

    seeds: Annotated[int, Field(ge=2)] = 100
    """Number of networks to train, seeds 0, 1, 2, ... (held-out ones included)."""
    initialisations: Annotated[tuple[Initialisation, ...], Field(min_length=1)] = ("default",)
    """With k initialisations seed s uses the (s mod k)-th, so that more seeds only add networks."""
    training: TrainingConfig = TrainingConfig()
    """How the networks are trained."""
    trajectory: Trajectory | None = None
    """Makes a zoo of checkpoints along the trainings, instead of what each ends with. Measures of the zoo's
    own novelty leave out a network's whole trajectory, not the network alone."""
    shard_size: Annotated[int, Field(ge=1)] = 100
    """Networks trained at once by one job."""

    @property
    def n_shards(self) -> int:
        """Return the number of jobs that train the zoo."""
        return math.ceil(self.seeds / self.shard_size)

    @property
    def checkpoints(self) -> int:
        """Return the number of networks of one training."""
        return self.trajectory.checkpoints if self.trajectory else 1

    def trajectories(self) -> list[str]:
        """Return the names of all trainings, in row order."""
        return [training_name(seed) for seed in range(self.seeds)]

    def trajectory_sizes(self) -> dict[str, int]:
        """Return how many networks each trajectory has, in row order."""
        return dict.fromkeys(self.trajectories(), self.checkpoints)

    def names(self) -> list[str]:
        """Return the names of all networks kept, in row order."""
        names = self.trajectories()
        if self.trajectory is None:
            return names
        return [name for trained in names for name in checkpoint_names(trained, self.checkpoints)]

    def shard(self, index: int) -> range:
        """Return the seeds of the networks that one job trains."""
        first = self.shard_size * index
        return range(self.seeds)[first : first + self.shard_size]

    @model_validator(mode="after")
    def _checkpoints_of_whole_trainings(self) -> "TrainedZoo":
        if self.trajectory is not None and self.training.patience is not None:
            raise ValueError(
                f"trajectory keeps checkpoints by their batch, but training.patience: "
                f"{self.training.patience} keeps the best epoch; leave one of them out"
            )
        return self


def training_name(seed: int) -> str:
    """Return what the network of a seed is called; of checkpoints, their trajectory."""
    return f"seed-{seed}"


def seed_of(training: str) -> int:
    """Return the seed of a training that `training_name` names so.

    Raises
    ------
    InputError
        If it is another name.
    """
    digits = training.removeprefix(training_name(0)[:-1])
    if not digits.isdigit() or training_name(int(digits)) != training:
        raise InputError(
            f"{training}: found no seed in this name, expected one like {training_name(0)}; only networks "
            "that were trained here have initial weights that can be drawn again"
        )
    return int(digits)


def new_plans(
    seed: int, numbers: Iterable[int], initialisations: Sequence[Initialisation]
) -> list[NetworkPlan]:
    """Return networks that no zoo has: those with certain ``numbers`` among all that a ``seed`` decides."""
    return plans_of((FIRST_SEED + 10**6 * seed + number for number in numbers), initialisations)


def plans_of(seeds: Iterable[int], initialisations: Sequence[Initialisation]) -> list[NetworkPlan]:
    """Return the networks to train from these seeds: with k initialisations seed s uses the (s mod k)-th."""
    kinds = len(initialisations)
    return [
        NetworkPlan(name=training_name(seed), seed=seed, initialisation=initialisations[seed % kinds])
        for seed in seeds
    ]


def checkpoint_names(trained: str, checkpoints: int) -> list[str]:
    """Return the names of the checkpoints of one training, in order."""
    return [f"{trained}-checkpoint-{k}" for k in range(checkpoints)]


class RecordedValues(Section):
    """What is known of networks of others' files besides their weights, from tables beside them."""

    file: str
    """A csv file, or a JSON file of rows: a list, one row a line, one mapping for each network by its name,
    or a single row. With names in braces of the zoo's `import` it is one for each training or network:
    `runs/{run}/result.json`."""
    rows: str | None = None
    """The key of a JSON file under which the rows lie, if they do not make up all of it."""
    where: dict[str, str | float] = Field(default_factory=dict)
    """The rows that count, by the values of columns: `{training_iteration: 50}`; by default all."""
    match: dict[str, str] = Field(default_factory=dict)
    """Which columns tell the network that a row is of: names in braces of `import`, or `file` for the
    network's file, each with a column: `{epoch: training_iteration}`. By default columns that have such a
    name."""
    accuracy: str | None = None
    """The column of accuracies. They are compared with those measured on the test set."""
    accuracy_in: Literal["shares", "percent", "wrong_shares", "wrong_percent"] = "shares"
    """Whether that column has shares from 0 to 1 or per cent, of right answers or of wrong ones."""
    epochs: str | None = None
    """The column of epochs after which checkpoints were taken, where `import` has no `{epoch}`."""

    def path(self, network: ImportedNetwork) -> Path:
        """Return the file in which a network's row is."""
        return Path(filled_in(self.file, network.texts))


class ImportedZoo(NetworkFiles, ZooBase):
    """A zoo of your own: existing state dicts."""

    files: Annotated[str | list[str], Field(alias="import")]
    """A folder, a glob pattern, or a list of them: `.safetensors` or `.pt` state dicts. A folder in which
    `save_pretrained` or the hub's client left a network, or a folder of such folders, will do as well. Names
    in braces are read from the path: `runs/{seed}/epoch_{epoch}.pt`. `seed`, `epoch` and `step` are numbers,
    all others any text. Networks that differ in `epoch` and `step` alone are checkpoints of one training."""
    recorded: RecordedValues | None = None
    """Accuracies and epochs that were recorded beside the networks."""
    shard_size: Annotated[int, Field(ge=1)] = 1000
    """Networks that one job imports."""

    @cached_property
    def networks(self) -> list[ImportedNetwork]:
        """The networks in row order, as their files were when first asked for."""
        return imported_networks(self.files, self.networks_per_file)

    def names(self) -> list[str]:
        """Return the networks' names, in row order."""
        return [network.name for network in self.networks]

    def trajectory_sizes(self) -> dict[str, int]:
        """Return how many networks each trajectory has, in row order."""
        return self._sizes

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return trajectory_sizes(self.networks)

    @model_validator(mode="after")
    def _names_in_braces(self) -> "ImportedZoo":
        patterns = [self.files] if isinstance(self.files, str) else self.files
        for pattern in patterns:
            if groups_of(pattern) and not Path(pattern).exists() and set(pattern) & set("?["):
                raise ValueError(
                    f"import: {pattern!r} has names in braces; beside these `*` and `**/` alone stand for "
                    "other text, found '?' or '['; replace it by `*`"
                )
        if self.recorded is not None and patterns:
            known = set.intersection(*(set(groups_of(pattern)) for pattern in patterns))
            asked = {*groups_of(self.recorded.file), *self.recorded.match} - {"file"}
            if unknown := sorted(asked - known):
                raise ValueError(
                    f"recorded: found the name {unknown[0]!r}, which `import` has not in braces; it has "
                    f"{', '.join(sorted(known)) or 'none'}"
                )
        return self


class JointZoo(Section):
    """The networks of several zoos as one training set, for generators that are told each network's zoo
    (`condition: {variable: zoo}`). Each has the form that its own zoo's canonicalization gives it. Networks
    may differ in the widths of hidden layers: narrower ones are padded with absent units. The data
    are examples of all zoos in equal numbers, each zoo's divided and standardised by itself. Generators of
    kind `joint` take what is made here back to the members, where it is judged."""

    zoos: Annotated[list[Name], Field(min_length=2)]
    """Zoos by name, of one architecture, or of multilayer perceptrons or ResNets that differ in the widths of
    hidden layers. Their held-out networks are held out here too."""
    matrix: MatrixConfig = MatrixConfig()
    """How the weight matrix is stored and streamed."""
    _members: "dict[str, TrainedZoo | ImportedZoo]" = PrivateAttr(default_factory=dict)

    @property
    def members(self) -> "dict[str, TrainedZoo | ImportedZoo]":
        """The zoos by name, which the whole configuration tells."""
        return self._members

    @property
    def architecture(self) -> ArchitectureConfig:
        """The architecture that all fit into: that of all, or of the widest in every layer."""
        first, *others = (zoo.architecture for zoo in self.members.values())
        return reduce(lambda widest, other: widest.joined(other) or widest, others, first)

    @property
    def narrower(self) -> list[str]:
        """The zoos whose networks are padded with absent units."""
        return [name for name, zoo in self.members.items() if zoo.architecture != self.architecture]

    @property
    def held_out(self) -> int:
        """Return how many networks, of checkpoints trajectories, the zoos hold out together."""
        return sum(zoo.held_out for zoo in self.members.values())

    @property
    def out_of_distribution(self) -> None:
        """Nothing is scored here."""

    def names(self) -> list[str]:
        """Return the names of all networks, in row order: those held out after all others."""
        return list(self._ordered({zoo: (one.names(), n_held_out(one)) for zoo, one in self.members.items()}))

    def trajectory_sizes(self) -> dict[str, int]:
        """Return how many networks each trajectory has, in row order."""
        members = {zoo: (one.trajectory_sizes(), one.held_out) for zoo, one in self.members.items()}
        sizes = {
            joint_name(zoo, name): size for zoo, (own, _) in members.items() for name, size in own.items()
        }
        return {name: sizes[name] for name in self._ordered(members)}

    @staticmethod
    def _ordered(of_members: Mapping[str, tuple[Iterable[str], int]]) -> Iterator[str]:
        """Yield names of all members, given each one's and how many of these, the last, are held out."""
        named = [([joint_name(zoo, name) for name in own], count) for zoo, (own, count) in of_members.items()]
        for own, count in named:
            yield from own[: len(own) - count]
        for own, count in named:
            yield from own[len(own) - count :]


def joint_name(zoo: str, network: str) -> str:
    """Return what a zoo's network, or trajectory, is called among those of several zoos."""
    return f"{zoo}.{network}"


AnyZoo = TrainedZoo | ImportedZoo | JointZoo


def _zoo_kind(value: Any) -> str:
    if isinstance(value, dict):
        if "zoos" in value:
            return "joint"
        return "imported" if "import" in value or "files" in value else "trained"
    if isinstance(value, JointZoo):
        return "joint"
    return "imported" if isinstance(value, ImportedZoo) else "trained"


ZooConfig = Annotated[
    Annotated[TrainedZoo, Tag("trained")]
    | Annotated[ImportedZoo, Tag("imported")]
    | Annotated[JointZoo, Tag("joint")],
    Discriminator(_zoo_kind),
]


def network_names(zoo: AnyZoo) -> list[str]:
    """Return the names of all networks of a zoo, in row order."""
    return zoo.names()


def trajectory_names(zoo: AnyZoo) -> list[str]:
    """Return what networks are called that do not descend from each other, in row order: the trajectories of
    checkpoints, else all networks."""
    return list(zoo.trajectory_sizes())


def n_held_out(zoo: AnyZoo) -> int:
    """Return the number of held-out networks."""
    sizes = list(zoo.trajectory_sizes().values())
    return sum(sizes[max(0, len(sizes) - zoo.held_out) :])


def n_training(zoo: AnyZoo) -> int:
    """Return the number of networks that are not held out."""
    return len(network_names(zoo)) - n_held_out(zoo)


def reference_name(zoo: AnyZoo, reference: int | str) -> str:
    """Return the name of the network that ``reference`` stands for: a seed the last of its checkpoints
    (`medoid` and names stay as they are)."""
    if isinstance(reference, str):
        return reference
    sizes = list(zoo.trajectory_sizes().values())
    return network_names(zoo)[sum(sizes[: reference + 1]) - 1]
