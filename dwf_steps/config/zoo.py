"""Zoos: networks trained here, imported networks, and the networks of several zoos together."""

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
    """Maximum shift of an image in either direction, in pixels."""
    flip: bool = True
    """Whether half of the images are flipped horizontally."""


class Optimization(Section):
    """How networks are optimised, regardless of the number of steps."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """The optimiser."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay (L2 penalty for adam and sgd, decoupled for adamw)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Momentum of sgd."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Examples per step."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Schedule of the learning rate, which falls to zero at the end of training unless it is `constant`."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training in which the learning rate rises linearly from zero."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Maximum Euclidean norm of a network's gradient."""
    batches: Literal["own", "shared"] = "own"
    """Whether each network sees the examples in its `own` order, or all see the same batches, in the order of
    seed 0. Networks then differ in their initial weights alone; narrow MLPs train several times faster."""
    augmentation: Augmentation | None = None
    """Random changes of training images, drawn separately for each network, or once for shared batches."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of activations in training; weights are float32."""
    channels_last: bool = False
    """Whether images are stored pixel by pixel (channels last), which speeds up wide convolutions on most
    hardware."""


class TrainingConfig(Optimization):
    """How each network of a zoo is trained (cross-entropy, shuffled again in every epoch)."""

    epochs: Annotated[int, Field(ge=0)] = 5
    """Passes over the training set; 0 keeps the initial networks."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop training a network after this number of epochs without a lower validation loss, and keep its best
    epoch. By default the last epoch is kept."""


class Trajectory(Section):
    """Checkpoints along each network's training, all of which are networks of the zoo."""

    checkpoints: Annotated[int, Field(ge=1)]
    """Number of checkpoints per training."""
    every: Annotated[int, Field(ge=1)]
    """Batches between consecutive checkpoints."""
    skip_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Epochs before the first interval between checkpoints begins: the first checkpoint is taken `every`
    batches later."""

    def steps(self, batches_per_epoch: int) -> list[int]:
        """Return after how many batches each checkpoint is taken."""
        start = round(self.skip_epochs * batches_per_epoch)
        return [start + self.every * (k + 1) for k in range(self.checkpoints)]


FIRST_SEED = 10**9
"""First seed of networks outside the zoos, whose seeds count from 0."""


class NetworkPlan(Section):
    """One network to train."""

    name: str
    """Name of its file and row; for checkpoints, the name of their trajectory."""
    seed: int
    """Seed of the initial weights and the batches, independent of the shard in which the network is
    trained."""
    initialisation: Initialisation
    """How its initial weights are drawn."""


class ZooBase(Section):
    """Settings shared by trained and imported zoos."""

    dataset: Name | TableFile
    """The name of a built-in data set or of one under `datasets`, or a table of your own: `{file: my.csv,
    target: species}`."""
    splits: SplitsConfig = SplitsConfig()
    """How the data are divided."""
    architecture: ArchitectureConfig
    """The networks' architecture."""
    matrix: MatrixConfig = MatrixConfig()
    """How the weight matrix is stored and streamed."""
    out_of_distribution: Shift | None = None
    """Inputs on which ensembles should be uncertain: the test images `rotated` by 90 degrees, the test inputs
    with their features `shuffled`, or the images of another data set."""
    held_out: Annotated[int, Field(ge=0)] = 0
    """Number of networks, counted from the last, that are excluded from alignment references, subspaces and
    generators; they show how far new networks are from training networks. In zoos of checkpoints, the number
    of whole trajectories."""


class TrainedZoo(ZooBase):
    """A zoo that the workflow trains: one network per seed, or the checkpoints of its training."""

    seeds: Annotated[int, Field(ge=2)] = 100
    """Number of networks to train, from seeds 0, 1, 2, ..., including held-out networks."""
    initialisations: Annotated[tuple[Initialisation, ...], Field(min_length=1)] = ("default",)
    """With k initialisations, seed s uses the (s mod k)-th; raising `seeds` only adds networks."""
    training: TrainingConfig = TrainingConfig()
    """How the networks are trained."""
    trajectory: Trajectory | None = None
    """Makes the zoo consist of checkpoints along each training instead of its final network. When a network's
    novelty within the zoo is measured, its whole trajectory is left out of the comparison."""
    shard_size: Annotated[int, Field(ge=1)] = 100
    """Number of networks trained at once in one job."""

    @property
    def n_shards(self) -> int:
        """The number of jobs that train the zoo."""
        return math.ceil(self.seeds / self.shard_size)

    @property
    def checkpoints(self) -> int:
        """The number of networks per training."""
        return self.trajectory.checkpoints if self.trajectory else 1

    def trajectories(self) -> list[str]:
        """Return the names of all trainings, in row order."""
        return [training_name(seed) for seed in range(self.seeds)]

    def trajectory_sizes(self) -> dict[str, int]:
        """Return how many networks each trajectory has, in row order."""
        return dict.fromkeys(self.trajectories(), self.checkpoints)

    def names(self) -> list[str]:
        """Return the names of all networks, in row order."""
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
    """Return the name of the network trained from a seed.

    Parameters
    ----------
    seed
        Of the training.

    Returns
    -------
    The network's name; for checkpoints, the name of their trajectory.
    """
    return f"seed-{seed}"


def seed_of(training: str) -> int:
    """Return the seed in a name that `training_name` gave.

    Parameters
    ----------
    training
        Name of a network or trajectory.

    Returns
    -------
    The seed.

    Raises
    ------
    InputError
        If it is any other name.
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
    """Return networks to train that no zoo has.

    Parameters
    ----------
    seed
        Seed of the draw; different seeds have no networks in common.
    numbers
        Indices among the networks of this seed, below 10^6.
    initialisations
        Initialisations, used in turn.

    Returns
    -------
    One network for each number.
    """
    return plans_of((FIRST_SEED + 10**6 * seed + number for number in numbers), initialisations)


def plans_of(seeds: Iterable[int], initialisations: Sequence[Initialisation]) -> list[NetworkPlan]:
    """Return the networks to train from given seeds.

    Parameters
    ----------
    seeds
        One for each network.
    initialisations
        With k of them, seed s uses the (s mod k)-th.

    Returns
    -------
    The networks, in the order of ``seeds``.
    """
    kinds = len(initialisations)
    return [
        NetworkPlan(name=training_name(seed), seed=seed, initialisation=initialisations[seed % kinds])
        for seed in seeds
    ]


def checkpoint_names(trained: str, checkpoints: int) -> list[str]:
    """Return the names of the checkpoints of one training.

    Parameters
    ----------
    trained
        Name of the training.
    checkpoints
        Number of checkpoints.

    Returns
    -------
    Names in the order of training.
    """
    return [f"{trained}-checkpoint-{k}" for k in range(checkpoints)]


class RecordedValues(Section):
    """Accuracies and epochs of imported networks, from tables beside their files."""

    file: str
    """A csv file, or a JSON file of rows: a list of rows, one row per line, a mapping of names to rows, or a
    single row. With names in braces of the zoo's `import` there is one file for each training or network:
    `runs/{run}/result.json`."""
    rows: str | None = None
    """The key of a JSON file under which the rows are stored, if the rows are not the whole file."""
    where: dict[str, str | float] = Field(default_factory=dict)
    """Selects rows by the values of columns: `{training_iteration: 50}`; by default all rows."""
    match: dict[str, str] = Field(default_factory=dict)
    """The columns that identify a row's network: for a name in braces of `import`, or for `file` (the
    network's file), the name of the column: `{epoch: training_iteration}`. By default columns named like the
    names in braces."""
    accuracy: str | None = None
    """The column of accuracies, which are compared with those measured on the test set."""
    accuracy_in: Literal["shares", "percent", "wrong_shares", "wrong_percent"] = "shares"
    """Whether the column has shares from 0 to 1 or percentages, and of correct or of wrong predictions."""
    epochs: str | None = None
    """The column of epochs after which checkpoints were taken, if `import` has no `{epoch}`."""

    def path(self, network: ImportedNetwork) -> Path:
        """Return the file with a network's row."""
        return Path(filled_in(self.file, network.texts))


class ImportedZoo(NetworkFiles, ZooBase):
    """A zoo of existing networks, from files with their state dicts."""

    files: Annotated[str | list[str], Field(alias="import")]
    """A folder, a glob pattern, or a list of them, for `.safetensors` or `.pt` files with state dicts.
    Folders written by `save_pretrained` or by the hub's client work too, as does a folder of such folders.
    Names in braces are read from the path: `runs/{seed}/epoch_{epoch}.pt`; `seed`, `epoch` and `step` match
    numbers, other names any text. Networks that differ only in `epoch` and `step` are checkpoints of one
    training."""
    recorded: RecordedValues | None = None
    """Accuracies and epochs recorded beside the networks."""
    shard_size: Annotated[int, Field(ge=1)] = 1000
    """Number of networks imported in one job."""

    @cached_property
    def networks(self) -> list[ImportedNetwork]:
        """The networks in row order, from the files that existed when they were first listed."""
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
                    f"import: {pattern!r} has names in braces; beside these only `*` and `**/` stand for "
                    "other text, found '?' or '['; replace it by `*`"
                )
        if self.recorded is not None and patterns:
            known = set.intersection(*(set(groups_of(pattern)) for pattern in patterns))
            asked = {*groups_of(self.recorded.file), *self.recorded.match} - {"file"}
            if unknown := sorted(asked - known):
                raise ValueError(
                    f"recorded: found the name {unknown[0]!r}, which `import` does not have in "
                    f"braces; it has {', '.join(sorted(known)) or 'none'}"
                )
        return self


class JointZoo(Section):
    """The networks of several zoos as one training set.

    It is meant for generators conditioned on the zoo (`condition: {variable: zoo}`). Each network is
    canonicalized within its own zoo. Networks may differ in the widths of hidden layers: narrower ones are
    padded with absent units. The data are an equal number of examples of each data set, divided and
    standardised separately. Generators of kind `joint` take the networks generated here back to the member
    zoos, where they are evaluated.
    """

    zoos: Annotated[list[Name], Field(min_length=2)]
    """Names of zoos with the same architecture, or with multilayer perceptrons or ResNets that differ only in
    the widths of hidden layers. Networks held out there are held out here too."""
    matrix: MatrixConfig = MatrixConfig()
    """How the weight matrix is stored and streamed."""
    _members: "dict[str, TrainedZoo | ImportedZoo]" = PrivateAttr(default_factory=dict)

    @property
    def members(self) -> "dict[str, TrainedZoo | ImportedZoo]":
        """The zoos by name, filled in when the whole configuration is validated."""
        return self._members

    @property
    def architecture(self) -> ArchitectureConfig:
        """The architecture into which all members' networks fit: the widest in every layer."""
        first, *others = (zoo.architecture for zoo in self.members.values())
        return reduce(lambda widest, other: widest.joined(other) or widest, others, first)

    @property
    def narrower(self) -> list[str]:
        """The zoos whose networks are padded with absent units."""
        return [name for name, zoo in self.members.items() if zoo.architecture != self.architecture]

    @property
    def data_of(self) -> dict[str, str]:
        """Each member, and the first one that has the same data."""
        found: dict[str, str] = {}
        for name, zoo in self.members.items():
            same = (
                other
                for other in found.values()
                if (zoo.dataset, zoo.splits) == (self.members[other].dataset, self.members[other].splits)
            )
            found[name] = next(same, name)
        return found

    @property
    def with_data(self) -> list[str]:
        """The zoos whose data are joined: of several that have the same data, the first."""
        return list(dict.fromkeys(self.data_of.values()))

    @property
    def held_out(self) -> int:
        """The number of networks, or of trajectories of checkpoints, that the members hold out together."""
        return sum(zoo.held_out for zoo in self.members.values())

    @property
    def out_of_distribution(self) -> None:
        """None, since no network is scored in a joint zoo."""

    def names(self) -> list[str]:
        """Return the names of all networks in row order, held-out networks last."""
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
        """Yield all members' names in row order, given each one's names and how many are held out."""
        named = [([joint_name(zoo, name) for name in own], count) for zoo, (own, count) in of_members.items()]
        for own, count in named:
            yield from own[: len(own) - count]
        for own, count in named:
            yield from own[len(own) - count :]


def joint_name(zoo: str, network: str) -> str:
    """Return the name of a network in a joint zoo.

    Parameters
    ----------
    zoo
        Name of the member.
    network
        Name of the network, or trajectory, in the member.

    Returns
    -------
    Both names, joined by a dot.
    """
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
    """Return the names of all networks of a zoo.

    Parameters
    ----------
    zoo
        Its settings.

    Returns
    -------
    Names in row order.
    """
    return zoo.names()


def trajectory_names(zoo: AnyZoo) -> list[str]:
    """Return the names of the independent trainings of a zoo.

    Parameters
    ----------
    zoo
        Its settings.

    Returns
    -------
    In row order, the names of trajectories in zoos of checkpoints, otherwise of all networks.
    """
    return list(zoo.trajectory_sizes())


def n_held_out(zoo: AnyZoo) -> int:
    """Return the number of held-out networks.

    Parameters
    ----------
    zoo
        Its settings.

    Returns
    -------
    Number of networks, counting every checkpoint of a held-out trajectory.
    """
    sizes = list(zoo.trajectory_sizes().values())
    return sum(sizes[max(0, len(sizes) - zoo.held_out) :])


def n_training(zoo: AnyZoo) -> int:
    """Return the number of networks that are not held out.

    Parameters
    ----------
    zoo
        Its settings.

    Returns
    -------
    Number of networks.
    """
    return len(network_names(zoo)) - n_held_out(zoo)


def reference_name(zoo: AnyZoo, reference: int | str) -> str:
    """Return the name of the network that a setting such as ``reference`` stands for.

    Parameters
    ----------
    zoo
        Its settings.
    reference
        A training's index in row order, the network's name, or `medoid`.

    Returns
    -------
    The last checkpoint of the training; names and `medoid` are returned unchanged.
    """
    if isinstance(reference, str):
        return reference
    sizes = list(zoo.trajectory_sizes().values())
    return network_names(zoo)[sum(sizes[: reference + 1]) - 1]
