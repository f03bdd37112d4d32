"""The sizes of a job's problem, from which its memory, time and threads are estimated."""

from __future__ import annotations

import math
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.canonicalization import UnitMatching, activation_matching_of, until_barycentre
from dwf_steps.config.dataset import DatasetConfig, DatasetFacts, ImageFiles, TableFile, TextFiles, facts_of
from dwf_steps.config.generators.base import GeneratorConfig
from dwf_steps.config.representation import WEIGHTS, RepresentationConfig, ResponsesRepresentation
from dwf_steps.config.transfer import TransferConfig
from dwf_steps.config.zoo import AnyZoo, ImportedZoo, TrainedZoo
from dwf_steps.pipeline.network_facts import NetworkFacts, coordinates
from dwf_steps.pipeline.settings.base import Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names


class Sizes:
    """What decides how much a job with some wildcards takes; read only as far as its step asks."""

    FLOPS = 5e9
    """Operations a second and thread; large products reach five times that."""
    READ = 50e6
    """Bytes a second, from and to a shared file system."""
    STEP = 0.003
    """Seconds of an optimisation step, however small."""
    CHUNK = 16 * 2**20
    """Bytes, of the weight matrix."""
    BLOCK = 2**28
    """Bytes, of networks or of their columns that are read at a time."""
    SCORING = 4 * 64 * 2**20
    """Bytes, of a block of examples' activations."""

    def __init__(self, experiment: Experiment, names: Names) -> None:
        self._experiment, self._names = experiment, names

    @property
    def zoo(self) -> AnyZoo:
        return self._experiment.zoo(self._names)

    @property
    def dataset(self) -> DatasetFacts:
        """Of the data set, or the transfer's, that a job of the data stage reads."""
        config = self._experiment.config
        if "transfer" in self._names.keys():  # noqa: SIM118
            return facts_of(config.dataset(config.transfers[self._names.transfer]))
        named = config.datasets[self._names.dataset]
        assert isinstance(named, ImageFiles | TextFiles)
        return facts_of(named)

    @property
    def n(self) -> int:
        """Networks of the zoo."""
        return self._experiment.n_networks(self._names.zoo)

    @property
    def trained(self) -> int:
        """Trainings of a shard of the zoo."""
        return min(self.zoo.seeds, self.zoo.shard_size) if isinstance(self.zoo, TrainedZoo) else self.s

    @property
    def s(self) -> int:
        """Networks of a shard of the zoo."""
        if isinstance(self.zoo, TrainedZoo):
            return self.trained * self.zoo.checkpoints
        return min(self.n, self.zoo.shard_size) if isinstance(self.zoo, ImportedZoo) else self.n

    @property
    def d(self) -> int:
        """Weights of a network."""
        return self.facts.n_parameters

    @property
    def responses(self) -> ResponsesRepresentation:
        """The representation of a job that makes response coordinates, or turns them into weights."""
        representation = self._representation
        assert isinstance(representation, ResponsesRepresentation)
        return representation

    @property
    def encoded(self) -> bool:
        """Whether the job's representation is one of responses."""
        return isinstance(self._representation, ResponsesRepresentation)

    @property
    def _representation(self) -> RepresentationConfig:
        name = getattr(self._names, "representation", WEIGHTS)
        return self._experiment.representation(SimpleNamespace(zoo=self._names.zoo, representation=name))

    @property
    def coordinates(self) -> int:
        """Coordinates of a network in the job's representation, at most: of responses so many for every unit;
        of the first layer, and of what is no layer's, as many as weights."""
        return coordinates(self.facts, self._representation)

    @property
    def response_rows(self) -> int:
        """Responses of a unit to all probes, at most."""
        return self.responses.probes * self.responses.positions

    @property
    def response_functions(self) -> int:
        """Bytes of the functions of all layers, in float64."""
        return 8 * self.response_rows * self.responses.functions * len(self.layers)

    @property
    def responding(self) -> float:
        """Seconds for the responses of one network, and for their products with all functions."""
        run = 2 * self.multiplications * self.responses.probes
        products = 2 * self.facts.units * self.response_rows * self.responses.functions
        return (run + products) / self.FLOPS + 4 * self.d / self.READ

    @property
    def decoding(self) -> float:
        """Seconds for decoding one network: every iteration takes a few products of inputs and weights, and
        the network is run as far as each layer in turn."""
        products = 2 * self.response_rows * self.d * (10 + 20 * self.responses.iterations)
        runs = len(self.layers) * self.multiplications * self.responses.probes
        return (products + runs) / self.FLOPS

    def decoded(self, networks: int) -> int:
        """Return the bytes of those of some networks that are decoded at a time: the budget, or a single one,
        with its least squares problem, of all inputs and their Gram matrix."""
        inputs = self.facts.most_inputs + 1
        single = 24 * inputs * (self.response_rows + inputs) + 4 * self.coordinates
        return max(single, min(self.zoo.matrix.memory_mb * 2**20, networks * single))

    @property
    def m(self) -> int:
        """Examples of the zoo's data set."""
        return self._experiment.n_examples(self._names.zoo)

    @property
    def facts(self) -> NetworkFacts:
        """Of the zoo's networks."""
        return self._experiment.network_facts(self._names.zoo)

    @property
    def features(self) -> int:
        return self.zoo.architecture.features

    @property
    def classes(self) -> int:
        return self.zoo.architecture.classes

    @property
    def multiplications(self) -> int:
        """Of one input."""
        return self.facts.multiplications

    @property
    def most_units(self) -> int:
        """Units that the largest permutation acts on."""
        return self.facts.most_units

    @property
    def layers(self) -> tuple[int, ...]:
        """Values of each layer, of one input."""
        return self.facts.layers

    @property
    def units(self) -> int:
        """Values of all layers of one input, and its own."""
        return self.features + sum(self.layers)

    @property
    def data(self) -> int:
        """Bytes: as read in float64, and as standardised in float32."""
        return 20 * self.m * self.features

    @property
    def item(self) -> int:
        """Bytes of a stored weight."""
        return {"float16": 2, "float32": 4}[self.zoo.matrix.dtype]

    @property
    def medoid(self) -> bool:
        """Whether the reference is found by comparing all networks."""
        return self._experiment.reference(self._names) == "medoid"

    @property
    def sweeps(self) -> int:
        """How often a canonicalization goes over all layers: ten times where it matches units, once where
        attention heads bound what it compares (a ViT-Small-192 took 0.4 s on one thread)."""
        methods = {m.method for m in self._experiment.config.canonicalizations[self._names.canon]}
        return 10 if methods - {"transfusion"} else len(methods)

    @property
    def rounds(self) -> int:
        """Means at most that networks are aligned to, of a barycentre."""
        matching = until_barycentre(self._experiment.config.canonicalizations[self._names.canon])[-1]
        assert isinstance(matching, UnitMatching)
        return matching.rounds

    @property
    def unit_responses(self) -> Work:
        """What the responses of units take, where a canonicalization matches by them: bytes, of as many
        networks as are run at a time, with copies in float64, and of the data; seconds for running one
        network and comparing its units."""
        method = activation_matching_of(self._experiment.config.canonicalizations[self._names.canon])
        if method is None:
            return Work(0, 0)
        values = 2 * self.facts.units * method.probes * method.positions
        run = 4 * self.multiplications * method.probes + 2 * values * self.most_units
        return Work(24 * values + 2 * self.BLOCK + self.data, run / self.FLOPS)

    @property
    def raw(self) -> bool:
        """Whether coordinates are weights themselves."""
        return self._experiment.config.subspaces[self._names.subspace].method == "none"

    @property
    def whole(self) -> bool:
        """Whether the subspace is found from the matrix as a whole."""
        return self._experiment.config.subspaces[self._names.subspace].method == "incremental_pca"

    @property
    def k(self) -> int:
        """Coordinates of a network."""
        subspace = self._experiment.config.subspaces[self._names.subspace]
        if subspace.method == "none":
            return self.coordinates
        return subspace.components or min(self.n, self.coordinates)

    @property
    def generator(self) -> GeneratorConfig:
        return self._experiment.generator(self._names)

    @property
    def g(self) -> int:
        """Networks that a generator draws, candidates included."""
        return self.generator.count * self.generator.sampling.candidates

    @property
    def generated_shard(self) -> int:
        """Networks of a shard of them."""
        return math.ceil(self.generator.count / self.zoo.matrix.decode_jobs)

    @property
    def block(self) -> int:
        """Bytes of a block of the matrix and of all generated rows."""
        return self.block_with(self.g)

    def block_with(self, rows: int) -> int:
        """Return the bytes of a block of the matrix and of some generated rows, in float64 and two copies."""
        return 24 * min(self.coordinates, self.CHUNK // (self.n * self.item) + 1) * (self.n + rows)

    def group(self, networks: int) -> int:
        """Return the bytes of those of some networks that are worked on at a time: one at least."""
        return max(4 * self.d, min(4 * networks * self.d, 2 * self.BLOCK))

    @property
    def transfer(self) -> TransferConfig:
        return self._experiment.config.transfers[self._names.transfer]

    @property
    def transfer_examples(self) -> int:
        return facts_of(self._experiment.config.dataset(self.transfer)).examples

    @cached_property
    def examples_seen(self) -> int:
        """Operations, for each multiplication that one input takes, of a network's recalibration."""
        seen = 0
        for method in self._experiment.config.recalibrations[self._names.recalibration]:
            if method.method == "fine_tune":
                seen += 6 * method.steps * method.batch_size
            elif method.method == "distill":
                seen += 6 * method.steps * method.batch_size + 2 * method.probes
            elif method.method != "reference_statistics":
                seen += 4 * method.examples
        return seen

    @property
    def assessed(self) -> int:
        """Training networks that are decoded from their own coordinates."""
        return self._experiment.config.evaluation.decoded

    @property
    def compared(self) -> int:
        """Networks that are matched again, or whose midpoints are scored, and held for that."""
        evaluation = self._experiment.config.evaluation
        return max(evaluation.realigned, evaluation.barriers)

    @property
    def realigning(self) -> float:
        """Seconds for matching networks to every training network: what units gain, twice for every axis."""
        evaluation = self._experiment.config.evaluation
        return evaluation.realigned * self.n * self.d * 4 * self.most_units / self.FLOPS

    def training(self, trainings: int, kept: int) -> Work:
        """Return what training networks with the zoo's settings takes, of which ``kept`` checkpoints stay."""
        assert isinstance(self.zoo, TrainedZoo)
        training, more = self.zoo.training, kept - trainings
        held = 32 * trainings * self.d + 16 * trainings * (training.batch_size * self.units + self.m)
        epoch = 6 * trainings * self.multiplications * self.m / self.FLOPS
        epoch += self.STEP * (self.m / training.batch_size + trainings)
        scores = 2 * more * self.multiplications * self.m / self.FLOPS
        return Work(held + 16 * more * self.d + self.data + self.SCORING, training.epochs * epoch + scores)

    def on_gpu(self, trainings: int) -> float:
        """Return the bytes of a GPU that training networks as the zoo does cannot do without: weights,
        gradients, the optimiser's moments and the best weights of all, training inputs, and of one network
        the widest layer's outputs for a batch, in half precision."""
        assert isinstance(self.zoo, TrainedZoo)
        training = self.zoo.training
        moments = 2 if training.optimizer != "sgd" else int(training.momentum > 0)
        activations = 2 * training.batch_size * max(self.layers)
        data = self.m * self.features  # float32, of a quarter of all examples at least
        return 4 * trainings * self.d * (3 + moments) + data + activations

    def scoring(self, networks: int) -> Work:
        """Return what scoring networks takes: a group of them, copied, and the predictions of all on the test
        set and on shifted inputs."""
        held = 3 * self.group(networks) + 4 * networks * self.m * self.classes + self.data + self.SCORING
        seconds = 4 * networks * self.multiplications * self.m / self.FLOPS
        return Work(held, seconds + 4 * networks * self.d / self.READ)


def examples_of(dataset: DatasetConfig, architecture: ArchitectureConfig) -> int:
    """Return about how many examples a data set has; of a table, where a value takes two characters at
    least."""
    if isinstance(dataset, TableFile):
        return dataset.file.stat().st_size // (2 * architecture.features)
    return facts_of(dataset).examples
