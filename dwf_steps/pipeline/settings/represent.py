"""Settings of response coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.representation import Decoding, Probing
from dwf_steps.config.zoo import JointZoo
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


def _asked(experiment: Experiment, names: Names) -> dict[str, Any]:
    """Return the settings shared by all steps that run networks on probes."""
    return {"architecture": experiment.architecture(names), "probing": experiment.responses(names).probing}


def _decoding(experiment: Experiment, names: Names) -> dict[str, Any]:
    """Return the settings shared by all steps that decode responses."""
    return _asked(experiment, names) | {
        "decoding": experiment.responses(names).decoding,
        "memory_mb": experiment.zoo(names).matrix.memory_mb,
    }


class SketchResponses(StepSettings):
    """The probes, how many functions are sought, and which part of the networks is sketched."""

    accelerated = True

    architecture: ArchitectureConfig
    probing: Probing
    functions: int
    part: int
    parts: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        part, parts = int(names.part), experiment.n_encoding_jobs(names)
        functions = experiment.responses(names).functions
        return cls(**_asked(experiment, names), functions=functions, part=part, parts=parts)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of running networks, and of sketching the responses of every layer.

        A layer has a test matrix and its product with the responses, each twice as wide as the functions
        sought.
        """
        held = 2 * sizes.group(sizes.n) + 2 * sizes.BLOCK + 5 * sizes.response_functions + sizes.data
        return Work(held, 5 * sizes.n * sizes.responding / sizes.responses.jobs)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 2 * sizes.response_functions


class SolveResponses(StepSettings):
    """The probes, and how many functions are kept."""

    architecture: ArchitectureConfig
    probing: Probing
    functions: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(**_asked(experiment, names), functions=experiment.responses(names).functions)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of the singular vectors of every layer, one at a time.

        Test matrices, products and functions of all layers are held.
        """
        held = 8 * sizes.response_functions + 2 * sizes.BLOCK + 8 * sizes.d + sizes.data
        return Work(held, 10 * sizes.responses.functions * sizes.response_functions / sizes.FLOPS)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return sizes.response_functions


class EncodeResponses(StepSettings):
    """The probes, and which part of the networks is encoded."""

    accelerated = True

    architecture: ArchitectureConfig
    probing: Probing
    part: int
    parts: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        part, parts = int(names.part), experiment.n_encoding_jobs(names)
        return cls(**_asked(experiment, names), part=part, parts=parts)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of running a group of networks at a time, and of projecting their responses."""
        coded = 20 * sizes.coordinates * max(1, min(sizes.n, sizes.BLOCK // (16 * sizes.coordinates)))
        held = 2 * sizes.group(sizes.n) + coded + 2 * sizes.BLOCK + 2 * sizes.response_functions + sizes.data
        return Work(held, 2 * sizes.n * sizes.responding / sizes.responses.jobs)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.n * sizes.coordinates / sizes.responses.jobs


class StackResponses(StepSettings):
    """How the matrix is stored."""

    dtype: Literal["float16", "float32"]
    memory_mb: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        matrix = experiment.zoo(names).matrix
        return cls(dtype=matrix.dtype, memory_mb=matrix.memory_mb)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        held = min(sizes.zoo.matrix.memory_mb * 2**20, 16 * sizes.n * sizes.coordinates)
        return Work(held, 12 * sizes.n * sizes.coordinates / sizes.READ)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return sizes.n * sizes.coordinates * sizes.item


class DecodeResponses(StepSettings):
    """The probes, the settings of decoding, and which part of the samples is decoded.

    ``memory_mb`` is the memory for networks that are decoded at a time (MiB). ``data_of`` names for each
    member of a joint zoo the one whose data it shares, or itself.
    """

    accelerated = True

    architecture: ArchitectureConfig
    probing: Probing
    decoding: Decoding
    part: int
    parts: int
    memory_mb: int
    data_of: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        part, parts, zoo = int(names.shard), experiment.n_generated_shards(names), experiment.zoo(names)
        data_of = zoo.data_of if isinstance(zoo, JointZoo) else {}
        return cls(**_decoding(experiment, names), part=part, parts=parts, data_of=data_of)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of decoding a shard.

        Memory is for rows that are stored whole, for blocks of columns with as many rows as fit in half the
        budget, for the response functions, and for the networks that are decoded at a time.
        """
        shard, candidates = sizes.generated_shard, sizes.generator.sampling.candidates
        fit = sizes.zoo.matrix.memory_mb * 2**19 // (4 * sizes.coordinates)
        blocks = 5 * sizes.block_with(min(sizes.g, max(candidates, fit)))
        stored = 8 * sizes.g * sizes.coordinates * sizes.generator.stores_rows
        held = blocks + stored + sizes.decoded(shard * candidates) + sizes.response_functions
        mixing = 2 * sizes.n * sizes.coordinates / sizes.FLOPS
        seconds = sizes.decoding + candidates * mixing + 8 * sizes.d / sizes.READ
        if candidates > 1:
            seconds += candidates * sizes.running
        return Work(held + 2 * sizes.BLOCK + sizes.data, shard * seconds)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.generated_shard * sizes.d


class AssessRepresentation(StepSettings):
    """The probes, the settings of decoding, and how many training networks are decoded.

    ``memory_mb`` is the memory for networks that are decoded at a time (MiB).
    """

    accelerated = True

    architecture: ArchitectureConfig
    probing: Probing
    decoding: Decoding
    networks: int
    memory_mb: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(**_decoding(experiment, names), networks=experiment.config.evaluation.decoded)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of decoding and scoring networks; both matrices are read for every group."""
        networks = min(2 * sizes.assessed, sizes.n)
        decoded = sizes.decoded(networks)
        each = 16 * sizes.d + 24 * sizes.coordinates + 16 * sizes.tested * sizes.classes
        held = decoded + networks * each + 2 * sizes.response_functions + 2 * sizes.BLOCK + sizes.data
        scoring = 4 * sizes.multiplications * sizes.tested / sizes.FLOPS
        groups = max(1, networks * sizes.decoded(1) // decoded)
        reading = groups * sizes.n * sizes.item * (sizes.d + sizes.coordinates) / sizes.READ
        seconds = networks * (sizes.decoding + sizes.responding + scoring) + reading
        return Work(held + sizes.SCORING, seconds)
