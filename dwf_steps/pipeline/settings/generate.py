"""Settings of generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.controls import DrawnControl, FreshControl, RandomInitConfig, SnapshotsConfig
from dwf_steps.config.generator import AFTER_FITTING, FlowConfig
from dwf_steps.config.zoo import TrainedZoo, TrainingConfig
from dwf_steps.pipeline.settings.base import StepSettings, Work, without

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class TrainFlow(StepSettings):
    """The flow; how it is sampled plays no part."""

    accelerated = True
    small_operations = True

    flow: FlowConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls.model_validate({"flow": without(experiment.generator(names), *AFTER_FITTING)})

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """The velocity network with mean, gradients, two moments and as saved; raw latents in float64."""
        training = sizes.flow.training
        draws = training.batch_size + training.validation_draws(sizes.k)
        latents = sizes.n * sizes.k * (28 + sizes.item if sizes.raw else 12) + 24 * draws * sizes.k
        step = sizes.STEP + sizes.v * (6 * training.batch_size + 30) / sizes.FLOPS
        return Work(28 * sizes.v + latents, training.steps * step)


class SampleFlow(StepSettings):
    """The flow, with its source and its sampling."""

    accelerated = True
    small_operations = True

    flow: FlowConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(flow=experiment.sampled_flow(names))

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Four evaluations a step; dopri5 chooses its steps itself."""
        sampling = sizes.flow.sampling
        evaluations = 4 * (1000 if sampling.solver == "dopri5" else sampling.steps)
        held, work = 8 * sizes.v + 48 * sizes.g * sizes.k, 2 * sizes.v * sizes.g
        if (
            sampling.guidance is not None
        ):  # networks, their gradients, the training rows that they are made of
            examples = sampling.guidance.batch_size
            held += 16 * sizes.g * sizes.d + 12 * sizes.n * sizes.d
            held += 8 * sizes.g * examples * sizes.units + sizes.data
            work += 6 * sizes.g * sizes.multiplications * examples
            work += 4 * sizes.g * sizes.k * sizes.d * (not sizes.raw)
        return Work(held, evaluations * (sizes.STEP + work / sizes.FLOPS))


class SampleControl(StepSettings):
    """The control."""

    control: DrawnControl

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls.model_validate({"control": experiment.generator(names)})

    @staticmethod
    def work(sizes: Sizes) -> Work:
        return Work(32 * sizes.n * (sizes.n + sizes.g), sizes.n**2 * sizes.g / sizes.FLOPS)


class TrainControl(StepSettings):
    """The control, the zoo's training, and which of the networks are made here: ``count`` from the ``first``.

    ``training`` is missing where the zoo was imported; ``matched_samples`` are the networks of the generator
    whose cost is to be equalled, ``zoo_trainings`` the networks that the zoo trained.
    """

    threads = "networks"
    accelerated = True

    control: FreshControl
    architecture: ArchitectureConfig
    training: TrainingConfig | None
    initialisations: tuple[Initialisation, ...]
    first: int
    count: int
    matched_samples: int = 1
    zoo_trainings: int = 1

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        zoo, control = experiment.zoo(names), experiment.generator(names)
        parts, samples = experiment.n_generated_shards(names), control.sampling.samples
        first, last = (samples * part // parts for part in (int(names.shard), int(names.shard) + 1))
        settings: dict[str, Any] = {
            "control": control,
            "architecture": experiment.architecture(names),
            "training": zoo.training if isinstance(zoo, TrainedZoo) else None,
            "initialisations": (
                [control.initialisation]
                if isinstance(control, RandomInitConfig)
                else getattr(zoo, "initialisations", ["default"])
            ),
            "first": first,
            "count": last - first,
        }
        matched = experiment.cost_matched(names)
        if matched is not None:
            settings["matched_samples"] = experiment.config.generators[matched].sampling.samples
            settings["zoo_trainings"] = experiment.n_trainings(names.zoo)
        return cls.model_validate(settings)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """As for a shard of the zoo; no control trains for longer, but snapshots, one network for many
        epochs."""
        control = sizes.generator
        if isinstance(control, RandomInitConfig):
            return Work(8 * sizes.g * sizes.d, 8 * sizes.g * sizes.d / sizes.READ)
        held, seconds = sizes.training(sizes.generated_shard, sizes.generated_shard)
        if isinstance(control, SnapshotsConfig) and isinstance(sizes.zoo, TrainedZoo):
            epochs = control.skip_epochs + control.every_epochs * sizes.g
            step = 6 * sizes.multiplications / sizes.FLOPS + sizes.STEP / sizes.zoo.training.batch_size
            return Work(held, epochs * sizes.m * step)
        return Work(held, seconds * max(1, getattr(control, "epochs", None) or 0))


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
        weights."""
        shard = sizes.generated_shard
        decoded = min(sizes.zoo.matrix.memory_mb * 2**20, 8 * shard * sizes.d)
        held = 5 * sizes.block + decoded + 4 * sizes.g * sizes.d * sizes.raw
        seconds = 2 * sizes.n * shard * sizes.d / sizes.FLOPS
        return Work(held, seconds + (sizes.n * sizes.item + 12 * shard) * sizes.d / sizes.READ)
