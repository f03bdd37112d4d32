"""What the settings of every kind of generator say of it before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol, Self

from pydantic import Field, model_validator

from dwf_steps.config.section import Section, Seed, planning

if TYPE_CHECKING:
    from dwf_steps.config.workflow import WorkflowConfig
    from dwf_steps.config.zoo import TrainingConfig

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Draws(Section):
    """How many networks to generate, and from which seed."""

    samples: Annotated[int, Field(ge=1)] = 100
    """Number of networks to generate."""
    seed: Seed = 0
    """Seed of the draws."""
    later_scale: NotNegative = 1.0
    """Factor of the samples' deviation from the training networks' mean, in all layers but the first: a
    temperature of the later layers. With 0 only the first layer varies."""
    candidates: Annotated[int, Field(ge=1)] = 1
    """Number of draws per generated network. Of the first-layer units of all draws, the network keeps those
    from which the second layer's responses are best reconstructed; these responses, and all later layers, are
    those of the first draw. Only for representations of kind `responses`."""

    @property
    def rows(self) -> int:
        """The number of draws, candidates included."""
        return self.samples * self.candidates


class Sizes(Protocol):
    """The size of a job's problem, from which its work is estimated."""

    @property
    def n(self) -> int: ...  # networks of the zoo

    @property
    def d(self) -> int: ...  # weights of a network

    @property
    def k(self) -> int: ...  # coordinates of a network in the subspace

    @property
    def g(self) -> int: ...  # networks to generate

    @property
    def raw(self) -> bool: ...  # whether the subspace is all of weight space

    @property
    def item(self) -> int: ...  # bytes of a stored weight

    @property
    def data(self) -> int: ...  # bytes that the data set takes in memory

    @property
    def units(self) -> int: ...  # of a network, its inputs included

    @property
    def layers(self) -> tuple[int, ...]: ...  # units of each layer

    @property
    def multiplications(self) -> int: ...  # for one input


class Facts(Protocol):
    """What is known of a zoo's networks before any is trained."""

    @property
    def symmetries(self) -> tuple[str, ...]: ...  # which of `SYMMETRIES` they have

    @property
    def normalised(self) -> bool: ...  # whether they have batch normalisation


class Context(Protocol):
    """The whole configuration, with facts that require building a network or reading a file."""

    @property
    def config(self) -> WorkflowConfig: ...

    def facts(self, zoo: str) -> Facts:
        """Return what is known of a zoo's networks."""
        ...

    def transfer_problems(self, zoo: str, transfer: str) -> Iterator[str]:
        """Yield a line for every mismatch between a zoo and a transfer."""
        ...

    def objective_problems(self, target: str, key: str, classes: int) -> Iterator[str]:
        """Yield a line for every problem with a user-defined loss, ``package.module:function``."""
        ...

    def generator_problems(self, target: str, where: str, fitted: bool) -> Iterator[str]:
        """Yield a line for every problem with a user-defined generator, ``package.module:Class``.

        This includes contradictions with its settings at ``where``.
        """
        ...


@dataclass(frozen=True)
class Work:
    """What a job takes.

    Attributes
    ----------
    held
        Memory in bytes.
    operations
        Arithmetic operations.
    steps
        Iterations of a loop, each of which takes time regardless of its size.
    """

    held: float
    operations: float = 0.0
    steps: float = 0.0


class GeneratorFacts(Section):
    """What reports need to know of a generator."""

    kind: str
    """Its kind."""
    control: bool
    """Whether it is a control that learned generators are compared with."""
    shows_training: bool
    """Whether its networks show what training achieves, rather than what generating does."""
    costs_training: bool
    """Whether each of its networks took the training of a network of the zoo."""
    makes: Literal["samples", "networks"] = "samples"
    """Whether it draws in the coordinates of a representation, or makes networks directly."""
    made_elsewhere: bool = False
    """Whether another tool made its networks, so that their cost is unknown."""


class GeneratorConfig(Section):
    """Settings of a kind of generator, as fields, and its properties, as class variables.

    Attributes
    ----------
    implementation
        The class that does the work, ``package.module:Class``: a `dwf_steps.generators.base.Generator` or,
        for kinds that make networks, a `NetworkMaker`. Only steps import it; their fingerprints cover its
        module and what that imports.
    control
        Whether it is a control that learned generators are compared with.
    makes
        ``samples``, in coordinates relative to the training networks, which are decoded later; or whole
        ``networks``, without coordinates.
    in_one_job
        Whether a single job makes all networks, even where the work of other kinds is divided over jobs.
    shows_training
        Whether its networks show what training achieves, rather than what generating does.
    costs_training
        Whether each of its networks took the training of a network of the zoo.
    made_elsewhere
        Whether another tool made its networks, so that their cost is unknown.
    accelerated
        Whether fitting and sampling use a GPU if there is one.
    analyses
        Names of settings that request further results, and do not affect the networks.
    stores_rows
        Whether its samples are stored weight by weight, in any subspace.
    remedies
        Advice for kinds that encode and decode networks, whose reconstruction error a separate step measures
        before sampling: what to change if reconstructions of ``training`` networks, or of ``held-out`` ones,
        lose much.
    """

    implementation: ClassVar[str]
    control: ClassVar[bool] = True
    makes: ClassVar[Literal["samples", "networks"]] = "samples"
    in_one_job: ClassVar[bool] = False
    shows_training: ClassVar[bool] = False
    costs_training: ClassVar[bool] = False
    made_elsewhere: ClassVar[bool] = False
    accelerated: ClassVar[bool] = False
    analyses: ClassVar[tuple[str, ...]] = ()
    stores_rows: ClassVar[bool] = False
    remedies: ClassVar[Mapping[str, str]] = MappingProxyType({})

    kind: str
    """Name of the kind."""
    sampling: Draws = Draws()
    """Number and seed of the draws."""

    @model_validator(mode="after")
    def _scale_of_samples(self) -> Self:
        if self.makes == "networks" and self.sampling.later_scale != 1:
            raise ValueError(
                f"sampling.later_scale is {self.sampling.later_scale:g}, but a {self.kind} generator makes "
                "whole networks, which deviate from no mean; leave it out"
            )
        if (self.makes == "networks" or self.shows_training) and self.sampling.candidates != 1:
            raise ValueError(
                f"sampling.candidates is {self.sampling.candidates}, but the networks of a {self.kind} "
                "generator are whole, and their units are not chosen; leave it out"
            )
        return self

    @property
    def facts(self) -> GeneratorFacts:
        """What reports need to know."""
        return GeneratorFacts(
            kind=self.kind,
            control=self.control,
            shows_training=self.shows_training,
            costs_training=self.costs_training,
            makes=self.makes,
            made_elsewhere=self.made_elsewhere,
        )

    @property
    def count(self) -> int:
        """The number of networks that it makes."""
        return self.sampling.samples

    @property
    def sources(self) -> Sequence[Path]:
        """The user's files with its networks, one per network in order; empty if it makes networks itself."""
        return ()

    @property
    def canonicalized(self) -> bool:
        """Whether networks that it makes directly are canonicalized as the zoo's are."""
        return False

    @property
    def modules(self) -> tuple[str, ...]:
        """The module of the implementation, and modules that it loads by name."""
        return (self.implementation.partition(":")[0],)

    @property
    def fitted(self) -> bool:
        """Whether it has a model, which a separate job fits and writes."""
        return False

    @property
    def reads_weights(self) -> bool:
        """Whether sampling, or making networks, reads the training networks' weights."""
        return False

    @property
    def reads_data(self) -> bool:
        """Whether sampling, or making networks, reads data."""
        return False

    @property
    def encodes_networks(self) -> bool:
        """Whether sampling encodes networks in the coordinates of the representation."""
        return False

    @property
    def reads_initialisations(self) -> bool:
        """Whether fitting and sampling draw networks as the zoo's were initialised, and encode them."""
        return False

    @property
    def data_of(self) -> str | None:
        """The transfer whose data are read; None for the zoo's."""
        return None

    @property
    def plugins(self) -> dict[str, str]:
        """User-defined functions and classes, ``package.module:name``, by the settings that name them."""
        return {}

    @property
    def cost_matched(self) -> str | None:
        """The generator whose measured cost determines how long these networks are trained."""
        return None

    @property
    def asks_for_zoos(self) -> bool:
        """Whether it is fitted to several zoos, and conditions each sample on one of them."""
        return False

    @property
    def drawn_in(self) -> tuple[str, str] | None:
        """The joint zoo in which its networks are made, and the generator that makes them there."""
        return None

    @property
    def has_likelihood(self) -> bool:
        """Whether log-densities of networks are requested."""
        return False

    @property
    def halfway(self) -> bool:
        """Whether its networks lie half-way between two training networks."""
        return False

    @property
    def other_sizes(self) -> dict[str, list[int]]:
        """The other widths to sample, by their names in folders and tables."""
        return {}

    def initialisations(self, zoo: tuple[str, ...]) -> tuple[str, ...]:
        """Return the initialisations of networks that it makes, used in turn, given the ``zoo``'s."""
        return zoo

    def without(self, *names: str) -> Self:
        """Return the settings with the named ones at their defaults."""
        fields = type(self).model_fields
        return self.model_copy(
            update={name: fields[name].get_default(call_default_factory=True) for name in names}
        )

    def as_fitted(self) -> Self:
        """Return the settings that affect the fit; all others are at their defaults."""
        return self.without("sampling", *self.analyses)

    def as_sampled(self) -> Self:
        """Return the settings that affect the samples; all others are at their defaults."""
        return self.without(*self.analyses)

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        """Yield a line for every mismatch between these settings, at the key ``where``, and a zoo."""
        yield from ()

    @planning
    def problems_with_representation(
        self, where: str, representation: str, config: WorkflowConfig
    ) -> Iterator[str]:
        """Yield a line for every mismatch between these settings and a representation."""
        yield from ()

    @planning
    def problems_with_subspace(self, where: str, subspace: str, config: WorkflowConfig) -> Iterator[str]:
        """Yield a line for every mismatch between these settings and a subspace."""
        yield from ()

    @planning
    def fit_work(self, sizes: Sizes) -> Work:
        """Return the work of the fit: by default a few copies of the rows, and many passes over them."""
        return Work(80 * sizes.n * sizes.k, 1e4 * sizes.n * sizes.k)

    @planning
    def fit_bytes(self, sizes: Sizes) -> float:
        """Return the minimum memory of the fit on a GPU in bytes, as far as it is known."""
        return 0.0

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        """Return the work of sampling: by default combinations of the training networks."""
        return Work(32 * sizes.n * (sizes.n + sizes.g), sizes.n**2 * sizes.g)

    @planning
    def make_work(self, sizes: Sizes, networks: int) -> Work | None:
        """Return the work of making ``networks`` networks; None if it is part of the zoo's training."""
        return None

    @planning
    def epochs_trained(self, training: TrainingConfig) -> float:
        """Return the number of passes over the training data, given the zoo's ``training``."""
        return 0.0
