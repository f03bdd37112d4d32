"""Zoos: networks trained here, or brought along."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.dataset import Shift, SplitsConfig, TableFile
from dwf_steps.config.matrix import MatrixConfig
from dwf_steps.config.section import Name, Section


class Augmentation(Section):
    """Random changes of training images."""

    crop: Annotated[int, Field(ge=0)] = 4
    """Pixels by which an image is shifted at most, in either direction."""
    flip: bool = True
    """Whether half of the images are mirrored left to right."""


class TrainingConfig(Section):
    """How each network of a zoo is trained (cross-entropy, its own shuffling every epoch)."""

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
    epochs: Annotated[int, Field(ge=0)] = 5
    """Passes over the training set; 0 keeps the initial networks."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop a network after so many epochs without a lower validation loss, and keep its best epoch.
    Without it the last epoch is kept."""


class NetworkPlan(Section):
    """One network to train."""

    name: str
    """File and row name."""
    seed: int
    """Decides the initial weights and the batches, whatever shard the network is trained in."""
    initialisation: Initialisation
    """How its first weights are drawn."""


class ZooBase(Section):
    dataset: Name | TableFile
    """The name of a built-in data set or of one under `datasets`, or a table of one's own:
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
    they show what novelty a truly new network has."""


class TrainedZoo(ZooBase):
    """A zoo trained here, one network a seed."""

    seeds: Annotated[int, Field(ge=2)] = 100
    """Number of networks, seeds 0, 1, 2, ... (held-out ones included)."""
    initialisations: Annotated[tuple[Initialisation, ...], Field(min_length=1)] = ("default",)
    """With k initialisations seed s uses the (s mod k)-th, so that more seeds only add networks."""
    training: TrainingConfig = TrainingConfig()
    """How the networks are trained."""
    shard_size: Annotated[int, Field(ge=1)] = 100
    """Networks trained at once by one job."""

    @property
    def n_shards(self) -> int:
        """Return the number of jobs that train the zoo."""
        return math.ceil(self.seeds / self.shard_size)

    def networks(self) -> list[NetworkPlan]:
        """Return all networks in row order."""
        return [self._network(seed) for seed in range(self.seeds)]

    def shard(self, index: int) -> list[NetworkPlan]:
        """Return the networks of one shard."""
        first = self.shard_size * index
        return [self._network(seed) for seed in range(self.seeds)[first : first + self.shard_size]]

    def _network(self, seed: int) -> NetworkPlan:
        kind = self.initialisations[seed % len(self.initialisations)]
        return NetworkPlan(name=f"seed-{seed}", seed=seed, initialisation=kind)


class ImportedZoo(ZooBase):
    """A zoo of one's own: existing state dicts."""

    files: Annotated[str | list[str], Field(alias="import")]
    """A folder, a glob pattern, or a list of them: `.safetensors` or `.pt` state dicts."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Renames the beginnings of the files' keys: `{fc1: layers.0, fc2: layers.1}`; an empty text strips
    one: `{module: ""}`."""

    def paths(self) -> list[Path]:
        """Return the files in row order (by name)."""
        patterns = [self.files] if isinstance(self.files, str) else self.files
        found: set[Path] = set()
        for pattern in patterns:
            path = Path(pattern)
            if path.is_dir():
                found |= {p for p in path.iterdir() if p.suffix in {".safetensors", ".pt", ".pth"}}
            elif path.is_file():
                found.add(path)
            else:
                anchor = Path(path.anchor) if path.is_absolute() else Path()
                found |= set(anchor.glob(str(path.relative_to(path.anchor))))
        return sorted(found, key=lambda p: (p.stem, str(p)))

    def names(self) -> list[str]:
        """Return the networks' names, in row order."""
        return [path.stem for path in self.paths()]


def _zoo_kind(value: Any) -> str:
    if isinstance(value, dict):
        return "imported" if "import" in value or "files" in value else "trained"
    return "imported" if isinstance(value, ImportedZoo) else "trained"


ZooConfig = Annotated[
    Annotated[TrainedZoo, Tag("trained")] | Annotated[ImportedZoo, Tag("imported")], Discriminator(_zoo_kind)
]


def network_names(zoo: TrainedZoo | ImportedZoo) -> list[str]:
    """Return the names of all networks of a zoo, in row order."""
    return zoo.names() if isinstance(zoo, ImportedZoo) else [network.name for network in zoo.networks()]


def held_out_names(zoo: TrainedZoo | ImportedZoo) -> list[str]:
    """Return the names of the held-out networks: the last ones."""
    names = network_names(zoo)
    return names[len(names) - zoo.held_out :]


def n_training(zoo: TrainedZoo | ImportedZoo) -> int:
    """Return the number of networks that are not held out."""
    return len(network_names(zoo)) - zoo.held_out


def reference_name(zoo: TrainedZoo | ImportedZoo, reference: int | str) -> str:
    """Return the name of the network that ``reference`` stands for (`medoid` stays as it is)."""
    if isinstance(reference, str):
        return reference
    return network_names(zoo)[reference] if isinstance(zoo, ImportedZoo) else f"seed-{reference}"
