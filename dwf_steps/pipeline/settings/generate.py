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
    """Settings for encoding networks other than the training networks.

    These are their initialisations, if they are drawn as the zoo's were, and the probes if networks are
    encoded by their responses.
    """

    architecture: ArchitectureConfig | None = None
    probing: Probing | None = None
    initialisations: tuple[Initialisation, ...] = ()

    @classmethod
    def described(cls, experiment: Experiment, names: Names) -> dict[str, Any]:
        """Return those of these settings, by name, that the job needs."""
        generator, zoo, found = experiment.generator(names), experiment.zoo(names), dict[str, Any]()
        if generator.encodes_networks and names.representation in experiment.encoded:
            found["architecture"] = experiment.architecture(names)
            found["probing"] = experiment.responses(names).probing
        if generator.reads_initialisations and isinstance(zoo, TrainedZoo):
            found["initialisations"] = zoo.initialisations
        return found


class FitGenerator(StepSettings, OwnNetworks):
    """The generator without its sampling, and the settings for encoding networks if the fit does so."""

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
    """The generator with its sampling, and the settings for encoding networks if it does so."""

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
    """The generator, and how many training and held-out networks it reconstructs.

    ``margin`` is the loss of score that causes a warning, and ``memory_mb`` the memory for networks that are
    decoded at a time (MiB). For response coordinates there are also the probes and the settings of decoding.
    """

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
        """Return the work of decoding networks, and of predictions before and after.

        Memory is also for the coordinates of all networks if these are not reduced to a subspace.
        """
        networks = min(2 * sizes.assessed, sizes.n)
        held = 12 * sizes.n * sizes.k * sizes.raw + sizes.block_with(networks) + sizes.data + sizes.SCORING
        held += networks * (32 * sizes.d + 24 * sizes.coordinates + 16 * sizes.tested * sizes.classes)
        seconds = 4 * networks * sizes.multiplications * sizes.tested / sizes.FLOPS
        seconds += sizes.n * sizes.item * (sizes.d + sizes.coordinates) / sizes.READ
        if sizes.encoded:
            held += sizes.decoded(networks) + sizes.response_functions + 2 * sizes.BLOCK
            seconds += networks * sizes.decoding
        return Work(held, seconds)


def spent(work: base.Work, sizes: Sizes) -> Work:
    """Return a generator's work in bytes and seconds.

    Parameters
    ----------
    work
        In bytes, operations and steps.
    sizes
        Of the job's problem.

    Returns
    -------
    Its memory in bytes, and its duration on one thread in seconds.
    """
    return Work(work.held, work.operations / sizes.FLOPS + work.steps * sizes.STEP)


class CostMatched(Section):
    """The numbers of networks from which the cost of another generator's network is computed."""

    samples: int
    """Number of networks of the generator whose cost is matched."""
    trainings: int
    """Number of networks that the zoo trained."""


class MakeNetworks(StepSettings):
    """The generator, the zoo's training, and which networks are made: ``count`` from the ``first``.

    ``training`` is None if the zoo was imported.
    """

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
    """Methods by which the networks are canonicalized, if the generator's are."""
    zoo: str = ""
    """The zoo's name, for a generator that takes the networks made for it in a joint zoo."""

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
        """Return the work that the generator states, or that of training a shard of the zoo.

        Training takes the generator's number of epochs; untrained networks are only written.
        """
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
    """Which part of the samples is decoded, and the memory for decoded blocks (MiB)."""

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
        """Return the work of decoding blocks of columns side by side.

        Memory is also for the decoded networks, up to the budget, and for offsets of samples that are stored
        weight by weight.
        """
        shard = sizes.generated_shard
        decoded = min(sizes.zoo.matrix.memory_mb * 2**20, 8 * shard * sizes.d)
        offsets = 4 * sizes.g * sizes.d * (sizes.raw or sizes.generator.stores_rows)
        held = 5 * sizes.block + decoded + offsets
        seconds = 2 * sizes.n * shard * sizes.d / sizes.FLOPS
        return Work(held, seconds + (sizes.n * sizes.item + 12 * shard) * sizes.d / sizes.READ)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.generated_shard * sizes.d
