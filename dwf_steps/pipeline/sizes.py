"""The sizes of a job's problem, from which its memory, time and threads are estimated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.canonicalization import UnitMatching, activation_matching_of, until_barycentre
from dwf_steps.config.dataset import (
    DatasetConfig,
    DatasetFacts,
    ImageFiles,
    SplitsConfig,
    TableFile,
    TextFiles,
    facts_of,
)
from dwf_steps.config.generators.base import GeneratorConfig
from dwf_steps.config.representation import WEIGHTS, RepresentationConfig, ResponsesRepresentation
from dwf_steps.config.subspace import SubspaceConfig
from dwf_steps.config.transfer import TransferConfig
from dwf_steps.config.zoo import AnyZoo, ImportedZoo, TrainedZoo
from dwf_steps.pipeline.network_facts import NetworkFacts, coordinates
from dwf_steps.pipeline.settings.base import Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names


class Sizes:
    """The sizes that determine what a job with given wildcards takes, each computed when needed."""

    FLOPS = 5e9
    """Operations per second and thread, except in large matrix products."""
    PRODUCTS = 25e9
    """Operations per second and thread in large matrix products."""
    READ = 50e6
    """Bytes per second, from and to a shared file system."""
    STEP = 0.003
    """Minimum duration of an optimisation step in seconds."""
    CHUNK = 16 * 2**20
    """Bytes per chunk of the weight matrix."""
    BLOCK = 2**28
    """Bytes of networks, or of their columns, that are read at a time."""
    SCORING = 4 * 64 * 2**20
    """Bytes of activations for a block of examples."""

    def __init__(self, experiment: Experiment, names: Names) -> None:
        self._experiment, self._names = experiment, names

    @property
    def zoo(self) -> AnyZoo:
        return self._experiment.zoo(self._names)

    @property
    def dataset(self) -> DatasetFacts:
        """Facts of the data set, or of the transfer's, that a job of the data stage reads."""
        config = self._experiment.config
        if "transfer" in self._names.keys():  # noqa: SIM118
            return facts_of(config.dataset(config.transfers[self._names.transfer]))
        named = config.datasets[self._names.dataset]
        assert isinstance(named, ImageFiles | TextFiles)
        return facts_of(named)

    @property
    def n(self) -> int:
        """Number of networks of the zoo."""
        return self._experiment.n_networks(self._names.zoo)

    @property
    def trained(self) -> int:
        """Number of trainings in a shard of the zoo."""
        return min(self.zoo.seeds, self.zoo.shard_size) if isinstance(self.zoo, TrainedZoo) else self.s

    @property
    def s(self) -> int:
        """Number of networks in a shard of the zoo."""
        if isinstance(self.zoo, TrainedZoo):
            return self.trained * self.zoo.checkpoints
        return min(self.n, self.zoo.shard_size) if isinstance(self.zoo, ImportedZoo) else self.n

    @property
    def d(self) -> int:
        """Number of weights of a network."""
        return self.facts.n_parameters

    @property
    def responses(self) -> ResponsesRepresentation:
        """The representation of a job that encodes networks as responses, or decodes responses."""
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
        """Maximum number of coordinates of a network in the job's representation; see `coordinates`."""
        return coordinates(self.facts, self._representation)

    @property
    def response_rows(self) -> int:
        """Maximum number of responses of a unit to all probes."""
        return self.responses.probes * self.responses.positions

    @property
    def response_functions(self) -> int:
        """Bytes of the response functions of all layers, in float64."""
        return 8 * self.response_rows * self.responses.functions * len(self.layers)

    @property
    def running(self) -> float:
        """Seconds to run one network on all probes."""
        return 2 * self.multiplications * self.responses.probes / self.FLOPS

    @property
    def responding(self) -> float:
        """Seconds to compute the responses of one network and their products with all functions."""
        products = 2 * self.facts.units * self.response_rows * self.responses.functions
        return self.running + products / self.FLOPS + 4 * self.d / self.READ

    @property
    def decoding(self) -> float:
        """Seconds to decode one network.

        Every iteration takes a few products of inputs and weights, and the network is run up to each layer in
        turn. The first layer of an MLP is solved once for all networks.
        """
        of_all = self.features * self.layers[0] if self.zoo.architecture.kind == "mlp" else 0
        solved = min(self.responses.positions * self.d, self.multiplications) - of_all
        products = 2 * self.responses.probes * solved * (10 + 20 * self.responses.iterations)
        return products / self.FLOPS + len(self.layers) * self.running / 2

    def decoded(self, networks: int) -> int:
        """Return the bytes held when networks are decoded: the memory budget, or a single network's.

        A network takes its least squares problem with all inputs and their Gram matrix.

        Parameters
        ----------
        networks
            Number of networks to decode.

        Returns
        -------
        Bytes.
        """
        inputs = self.facts.most_inputs + 1
        single = 24 * inputs * (self.response_rows + inputs) + 4 * self.coordinates
        return max(single, min(self.zoo.matrix.memory_mb * 2**20, networks * single))

    @property
    def m(self) -> int:
        """Number of examples in the zoo's data set, without those of a separate test set."""
        return self._experiment.examples(self._names.zoo).all

    @property
    def tested(self) -> int:
        """Number of examples in the zoo's test set."""
        return self._experiment.examples(self._names.zoo).test

    @property
    def facts(self) -> NetworkFacts:
        """Facts of the zoo's networks."""
        return self._experiment.network_facts(self._names.zoo)

    @property
    def features(self) -> int:
        return self.zoo.architecture.features

    @property
    def classes(self) -> int:
        return self.zoo.architecture.classes

    @property
    def multiplications(self) -> int:
        """Multiplications for one input."""
        return self.facts.multiplications

    @property
    def most_units(self) -> int:
        """Number of units that the largest permutation acts on."""
        return self.facts.most_units

    @property
    def layers(self) -> tuple[int, ...]:
        """Number of values that each layer outputs for one input."""
        return self.facts.layers

    @property
    def units(self) -> int:
        """Number of values of one input, and of the outputs of all layers for it."""
        return self.features + sum(self.layers)

    @property
    def data(self) -> int:
        """Bytes of the data, as read in float64 and as standardised in float32."""
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
        """Number of times that a canonicalization visits all layers.

        This is ten where units are matched, and one where only attention heads bound the comparisons (a
        ViT-Small-192 took 0.4 s on one thread).
        """
        methods = {m.method for m in self._experiment.config.canonicalizations[self._names.canon]}
        return 10 if methods - {"transfusion"} else len(methods)

    @property
    def rounds(self) -> int:
        """Maximum number of means computed in the search for a barycentre."""
        matching = until_barycentre(self._experiment.config.canonicalizations[self._names.canon])[-1]
        assert isinstance(matching, UnitMatching)
        return matching.rounds

    @property
    def unit_responses(self) -> Work:
        """Memory and time of the responses by which a canonicalization matches units, if it does.

        Memory is for as many networks as are run at a time, with copies in float64, and for the data; time is
        for running one network and comparing its units.
        """
        method = activation_matching_of(self._experiment.config.canonicalizations[self._names.canon])
        if method is None:
            return Work(0, 0)
        values = 2 * self.facts.units * method.probes * method.positions
        run = 4 * self.multiplications * method.probes + 2 * values * self.most_units
        return Work(24 * values + 2 * self.BLOCK + self.data, run / self.FLOPS)

    @property
    def raw(self) -> bool:
        """Whether generators work without reduction to a subspace."""
        return self._subspace.method == "none"

    @property
    def whole(self) -> bool:
        """Whether the subspace is computed from the whole matrix at once."""
        return self._subspace.method == "incremental_pca"

    @property
    def k(self) -> int:
        """Number of coordinates of a network in the subspace."""
        if self._subspace.method == "none":
            return self.coordinates
        return self._subspace.components or min(self.n, self.coordinates)

    @property
    def solving(self) -> float:
        """Seconds to find the subspace from a Gram matrix."""
        subspace = self._subspace
        if subspace.method == "dual_pca" and subspace.solver == "randomized" and subspace.components:
            return 40 * self.n**2 * subspace.components / self.PRODUCTS
        return 20 * self.n**3 * (not self.raw) / self.FLOPS

    @property
    def _subspace(self) -> SubspaceConfig:
        return self._experiment.config.subspaces[self._names.subspace]

    @property
    def generator(self) -> GeneratorConfig:
        return self._experiment.generator(self._names)

    @property
    def g(self) -> int:
        """Number of networks that a generator draws, candidates included."""
        return self.generator.count * self.generator.sampling.candidates

    @property
    def generated_shard(self) -> int:
        """Number of generated networks in a shard."""
        return math.ceil(self.generator.count / self.zoo.matrix.decode_jobs)

    @property
    def block(self) -> int:
        """Bytes of a block of the matrix and of all generated rows."""
        return self.block_with(self.g)

    def block_with(self, rows: int) -> int:
        """Return the bytes of a block of the matrix and of some generated rows, in float64 and two copies."""
        return 24 * min(self.coordinates, self.CHUNK // (self.n * self.item) + 1) * (self.n + rows)

    def group(self, networks: int) -> int:
        """Return the bytes of the networks, out of ``networks``, that are processed at a time."""
        return max(4 * self.d, min(4 * networks * self.d, 2 * self.BLOCK))

    @property
    def transfer(self) -> TransferConfig:
        return self._experiment.config.transfers[self._names.transfer]

    @property
    def transfer_examples(self) -> int:
        return facts_of(self._experiment.config.dataset(self.transfer)).examples

    @cached_property
    def examples_seen(self) -> int:
        """Operations in the recalibration of a network, per multiplication of its forward pass."""
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
        """Number of training networks that are decoded from their own coordinates."""
        return self._experiment.config.evaluation.decoded

    @property
    def compared(self) -> int:
        """Number of networks that are realigned, or whose midpoints are scored, and held for that."""
        evaluation = self._experiment.config.evaluation
        return max(evaluation.realigned, evaluation.barriers)

    @property
    def realigning(self) -> float:
        """Seconds to match networks to every training network: the gains of units, twice for every axis."""
        evaluation = self._experiment.config.evaluation
        return evaluation.realigned * self.n * self.d * 4 * self.most_units / self.FLOPS

    def training(self, trainings: int, kept: int) -> Work:
        """Return the work of training networks with the zoo's settings.

        Parameters
        ----------
        trainings
            Number of trainings.
        kept
            Number of networks that are kept, checkpoints included.

        Returns
        -------
        Bytes and seconds.
        """
        assert isinstance(self.zoo, TrainedZoo)
        training, more = self.zoo.training, kept - trainings
        held = 32 * trainings * self.d + 16 * trainings * (training.batch_size * self.units + self.m)
        # With shared batches, the first layers of all MLPs are one large product.
        large = training.batches == "shared" and self.zoo.architecture.kind == "mlp"
        rate = self.PRODUCTS if large else self.FLOPS
        epoch = 6 * trainings * self.multiplications * self.m / rate
        epoch += self.STEP * (self.m / training.batch_size + trainings)
        scores = 2 * more * self.multiplications * self.m / self.FLOPS
        return Work(held + 16 * more * self.d + self.data + self.SCORING, training.epochs * epoch + scores)

    def on_gpu(self, trainings: int) -> float:
        """Return the minimum memory on a GPU for training networks of the zoo.

        This is for weights, gradients, the optimiser's moments and the best weights of all networks, the
        training inputs, and the outputs of the widest layer of one network for a batch, in half precision.

        Parameters
        ----------
        trainings
            Number of networks trained at once.

        Returns
        -------
        Bytes.
        """
        assert isinstance(self.zoo, TrainedZoo)
        training = self.zoo.training
        moments = 2 if training.optimizer != "sgd" else int(training.momentum > 0)
        activations = 2 * training.batch_size * max(self.layers)
        data = self.m * self.features  # float32, of a quarter of all examples at least
        return 4 * trainings * self.d * (3 + moments) + data + activations

    def scoring(self, networks: int) -> Work:
        """Return the work of scoring networks.

        Memory is for a group of them, copied, and for the predictions of all networks on the test set and on
        shifted inputs.

        Parameters
        ----------
        networks
            Number of networks.

        Returns
        -------
        Bytes and seconds.
        """
        held = 3 * self.group(networks) + 4 * networks * self.tested * self.classes + self.data + self.SCORING
        seconds = 4 * networks * self.multiplications * self.tested / self.FLOPS
        return Work(held, seconds + 4 * networks * self.d / self.READ)


@dataclass(frozen=True)
class Examples:
    """Numbers of examples.

    Attributes
    ----------
    all
        Examples of the data set, without those of a separate test set.
    test
        Examples that networks are tested on.
    """

    all: int
    test: int


def examples_of(dataset: DatasetConfig, architecture: ArchitectureConfig, splits: SplitsConfig) -> Examples:
    """Return roughly how many examples a data set has.

    Parameters
    ----------
    dataset
        The data set.
    architecture
        Of the networks that see it.
    splits
        The share of test examples if the data set has no test set of its own.

    Returns
    -------
    For tables, upper bounds from the files' sizes, with two characters per value.
    """
    if isinstance(dataset, TableFile):
        row = 2 * architecture.features
        count = dataset.file.stat().st_size // row
        test = None if dataset.test is None else dataset.test.stat().st_size // row
    else:
        facts = facts_of(dataset)
        count, test = facts.examples, facts.test
    return Examples(count, round(splits.test * count) if test is None else test)
