"""Settings of generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.canonicalization import Canonicalization
from dwf_steps.config.generators import AnyGenerator
from dwf_steps.config.representation import Decoding, Probing
from dwf_steps.config.section import Section
from dwf_steps.config.zoo import TrainedZoo, TrainingConfig
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.config.generators import base
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class OwnNetworks(Section):
    """What describes networks that the generator has besides the training networks: how they are initialised,
    if that plays a part, and what they respond to, where they are described by their responses."""

    architecture: ArchitectureConfig | None = None
    probing: Probing | None = None
    initialisations: tuple[Initialisation, ...] = ()

    @classmethod
    def described(cls, experiment: Experiment, names: Names) -> dict[str, Any]:
        """Return these settings by name, but those that the job does not need."""
        generator, zoo, found = experiment.generator(names), experiment.zoo(names), dict[str, Any]()
        if generator.encodes_networks and names.representation in experiment.encoded:
            found["architecture"] = experiment.architecture(names)
            found["probing"] = experiment.responses(names).probing
        if generator.reads_initialisations and isinstance(zoo, TrainedZoo):
            found["initialisations"] = zoo.initialisations
        return found


class FitGenerator(StepSettings, OwnNetworks):
    """The generator; how it is sampled plays no part. And what networks of its own respond to, where fitting
    describes some by their responses."""

    accelerated = True
    small_operations = True

    generator: AnyGenerator

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        generator = experiment.generator(names)
        own = cls.described(experiment, names) if generator.reads_initialisations else {}
        return cls(generator=generator.as_fitted(), **own)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        return spent(sizes.generator.fit_work(sizes), sizes)

    @staticmethod
    def uses_gpu(sizes: Sizes) -> bool:
        return sizes.generator.accelerated

    @staticmethod
    def gpu_bytes(sizes: Sizes) -> float:
        return sizes.generator.fit_bytes(sizes)


class SampleGenerator(StepSettings, OwnNetworks):
    """The generator, with its sampling; and what networks respond to, where the generator describes networks
    of its own by their responses."""

    accelerated = True
    small_operations = True

    generator: AnyGenerator

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        generator = experiment.generator(names).as_sampled()
        return cls(generator=generator, **cls.described(experiment, names))

    @staticmethod
    def work(sizes: Sizes) -> Work:
        return spent(sizes.generator.sample_work(sizes), sizes)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.g * sizes.k * (sizes.raw or sizes.generator.stores_rows)

    @staticmethod
    def uses_gpu(sizes: Sizes) -> bool:
        return sizes.generator.accelerated


class AssessAutoencoder(StepSettings):
    """The generator, how many training networks and held-out ones are reconstructed, from which loss of score
    on a line warns, and the memory that networks may take that are decoded at a time (MiB); where responses
    describe them, what they respond to, and how responses are met."""

    accelerated = True

    generator: AnyGenerator
    architecture: ArchitectureConfig
    networks: int
    margin: float
    memory_mb: int
    probing: Probing | None = None
    decoding: Decoding | None = None

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        evaluation, described = experiment.config.evaluation, dict[str, Any]()
        if names.representation in experiment.encoded:
            responses = experiment.responses(names)
            described = {"probing": responses.probing, "decoding": responses.decoding}
        return cls(
            generator=experiment.generator(names).as_fitted(),
            architecture=experiment.architecture(names),
            networks=evaluation.decoded,
            margin=evaluation.good_margin,
            memory_mb=experiment.zoo(names).matrix.memory_mb,
            **described,
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """The coordinates of all networks where they are weights themselves, what is decoded at a time, and
        networks before and after with their predictions."""
        networks = min(2 * sizes.assessed, sizes.n)
        held = 12 * sizes.n * sizes.k * sizes.raw + sizes.block_with(networks) + sizes.data + sizes.SCORING
        held += networks * (32 * sizes.d + 24 * sizes.coordinates + 16 * sizes.m * sizes.classes)
        seconds = 4 * networks * sizes.multiplications * sizes.m / sizes.FLOPS
        seconds += sizes.n * sizes.item * (sizes.d + sizes.coordinates) / sizes.READ
        if sizes.encoded:
            held += sizes.decoded(networks) + sizes.response_functions + 2 * sizes.BLOCK
            seconds += networks * sizes.decoding
        return Work(held, seconds)


def spent(work: base.Work, sizes: Sizes) -> Work:
    """Return what a generator says that it takes, in bytes and seconds."""
    return Work(work.held, work.operations / sizes.FLOPS + work.steps * sizes.STEP)


class CostMatched(Section):
    """What the cost of another generator's network is found from, beside what was measured."""

    samples: int
    """Networks of the generator whose cost is to be equalled."""
    trainings: int
    """Networks that the zoo trained."""


class MakeNetworks(StepSettings):
    """The generator, the zoo's training, and which of the networks are made here: ``count`` from the
    ``first``. ``training`` is missing where the zoo was imported."""

    threads = "networks"
    accelerated = True

    generator: AnyGenerator
    architecture: ArchitectureConfig
    training: TrainingConfig | None
    initialisations: tuple[Initialisation, ...]
    first: int
    count: int
    cost_matched: CostMatched | None = None
    methods: Canonicalization = Field(default_factory=list)
    """By which the networks are canonicalized, where the generator asks for it."""
    zoo: str = ""
    """The zoo's name, where the generator takes networks that were made for it among others."""

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        zoo, generator = experiment.zoo(names), experiment.generator(names)
        networks = experiment.made_shard(names)
        training = zoo.training if isinstance(zoo, TrainedZoo) else None
        of_zoo = zoo.initialisations if isinstance(zoo, TrainedZoo) else ("default",)
        matched = generator.cost_matched
        costs = matched and {
            "samples": experiment.config.generators[matched].count,
            "trainings": experiment.n_trainings(names.zoo),
        }
        return cls.model_validate(
            {
                "generator": generator,
                "architecture": experiment.architecture(names),
                "training": training,
                "initialisations": generator.initialisations(of_zoo),
                "first": networks.start,
                "count": len(networks),
                "cost_matched": costs,
                "methods": experiment.config.canonicalizations[names.canon]
                if generator.canonicalized
                else [],
                "zoo": names.zoo if generator.drawn_in else "",
            }
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """As for a shard of the zoo, for as many epochs as the kind of generator takes, or what it says
        itself; but untrained networks."""
        written = 8 * sizes.g * sizes.d
        if (own := sizes.generator.make_work(sizes, sizes.generated_shard)) is not None:
            work = spent(own, sizes)
            return Work(work.held + written, work.seconds + written / sizes.READ)
        if not (isinstance(sizes.zoo, TrainedZoo) and sizes.generator.reads_data):
            return Work(written, written / sizes.READ)
        trainings = 1 if sizes.generator.in_one_job else sizes.generated_shard
        held, seconds = sizes.training(trainings, trainings)
        epochs = sizes.generator.epochs_trained(sizes.zoo.training)
        return Work(held + written, seconds * epochs / max(sizes.zoo.training.epochs, 1))

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.generated_shard * sizes.d


class Decode(StepSettings):
    """Which part of the samples, and the memory that decoded blocks may take (MiB)."""

    threads = "matrix"

    part: int
    parts: int
    memory_mb: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(
            part=int(names.shard),
            parts=experiment.n_generated_shards(names),
            memory_mb=experiment.zoo(names).matrix.memory_mb,
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Blocks of columns decoded side by side, the budget for those decoded, offsets of flows on raw
        weights and of what is described weight by weight."""
        shard = sizes.generated_shard
        decoded = min(sizes.zoo.matrix.memory_mb * 2**20, 8 * shard * sizes.d)
        offsets = 4 * sizes.g * sizes.d * (sizes.raw or sizes.generator.stores_rows)
        held = 5 * sizes.block + decoded + offsets
        seconds = 2 * sizes.n * shard * sizes.d / sizes.FLOPS
        return Work(held, seconds + (sizes.n * sizes.item + 12 * shard) * sizes.d / sizes.READ)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.generated_shard * sizes.d
