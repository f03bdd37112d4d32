"""What every kind of generator tells of itself before anything runs."""

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
    """How many networks to generate, from which seed."""

    samples: Annotated[int, Field(ge=1)] = 100
    """Networks to generate."""
    seed: Seed = 0
    """Seed of the draws."""
    later_scale: NotNegative = 1.0
    """Factor of the samples' deviation from the training networks' mean, in all layers but the first: their
    temperature. With 0 only the first layer is drawn."""
    candidates: Annotated[int, Field(ge=1)] = 1
    """Draws for every network that is made. Of the first layer's units in all of them as many are kept as a
    network has, those whose responses together come closest to what the second layer is to compute; the first
    draw decides the rest. Among responses only."""

    @property
    def rows(self) -> int:
        """Return how many networks are drawn, candidates included."""
        return self.samples * self.candidates


class Sizes(Protocol):
    """How large a job's problem is: what estimates of its work are made from."""

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
    def symmetries(self) -> tuple[str, ...]: ...  # which of `SYMMETRIES` they state

    @property
    def normalised(self) -> bool: ...  # whether they have batch normalisation


class Context(Protocol):
    """The whole configuration, with what must be built or read to be known."""

    @property
    def config(self) -> WorkflowConfig: ...

    def facts(self, zoo: str) -> Facts:
        """Return what is known of a zoo's networks."""
        ...

    def transfer_problems(self, zoo: str, transfer: str) -> Iterator[str]:
        """Yield a line for everything that does not fit between a zoo and a transfer."""
        ...

    def objective_problems(self, target: str, key: str, classes: int) -> Iterator[str]:
        """Yield a line for what is wrong with a loss of the user's own, ``package.module:function``."""
        ...

    def generator_problems(self, target: str, where: str, fitted: bool) -> Iterator[str]:
        """Yield a line for what is wrong with a generator of the user's own, ``package.module:Class``, and
        with what its settings at ``where`` say of its model."""
        ...


@dataclass(frozen=True)
class Work:
    """What a job takes: ``held`` bytes at once, arithmetic ``operations``, and ``steps`` of a loop, each of
    which costs time however small it is."""

    held: float
    operations: float = 0.0
    steps: float = 0.0


class GeneratorFacts(Section):
    """What reports must know of a generator."""

    kind: str
    """Its kind."""
    control: bool
    """Whether it is what learned generators are compared with."""
    shows_training: bool
    """Whether its networks show what training gives, not what generating does."""
    costs_training: bool
    """Whether each of its networks cost the zoo a training."""
    makes: Literal["samples", "networks"] = "samples"
    """Whether it draws in the coordinates of a representation, or makes networks without any."""
    made_elsewhere: bool = False
    """Whether another tool made its networks, so that their cost is not known."""


class GeneratorConfig(Section):
    """A kind of generator: its settings as fields, and as class variables what the workflow must know of it.

    Attributes
    ----------
    implementation
        The class that does the work, ``package.module:Class``, a `dwf_steps.generators.base.Generator` or,
        where networks are made, a `NetworkMaker`. It is imported by the steps alone; a step's fingerprint
        covers this module and what it imports.
    control
        Whether it is what learned generators are compared with, instead of one of them.
    makes
        ``samples``, described relative to the training networks and decoded afterwards, or whole
        ``networks``, which no sample describes.
    in_one_job
        Whether one job makes all networks, however many jobs others are divided over.
    shows_training
        Whether its networks show what training gives, not what generating does.
    costs_training
        Whether each of its networks cost the zoo a training.
    made_elsewhere
        Whether another tool made its networks, so that their cost is not known.
    accelerated
        Whether fitting and sampling run on a GPU where there is one.
    analyses
        Settings that ask for something besides networks, and play no part in these.
    stores_rows
        Whether its samples are described weight by weight, in any subspace.
    remedies
        Given where it encodes networks, and decodes what it draws: a step of its own then measures what that
        loses of networks, before any is drawn. They say what may help where much is lost of ``training``
        networks, and of ``held-out`` ones.
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
        """Return what reports must know."""
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
        """The user's own files that its networks are read from, one for each in order; none where it makes
        them itself."""
        return ()

    @property
    def canonicalized(self) -> bool:
        """Whether networks that it makes whole are canonicalized as the zoo's are."""
        return False

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the module of the implementation, and those of what it runs by name."""
        return (self.implementation.partition(":")[0],)

    @property
    def fitted(self) -> bool:
        """Whether it has a model, which a job of its own fits and writes."""
        return False

    @property
    def reads_weights(self) -> bool:
        """Whether sampling, or making networks, reads the training networks' weights besides their
        subspace."""
        return False

    @property
    def reads_data(self) -> bool:
        """Whether sampling, or making networks, reads data."""
        return False

    @property
    def encodes_networks(self) -> bool:
        """Whether sampling describes networks of its own in the coordinates that it works in."""
        return False

    @property
    def reads_initialisations(self) -> bool:
        """Whether fitting and sampling know how the zoo's first weights were drawn, and describe networks
        drawn so in the coordinates that they work in."""
        return False

    @property
    def data_of(self) -> str | None:
        """Return the transfer whose data are read; None for the zoo's own."""
        return None

    @property
    def plugins(self) -> dict[str, str]:
        """Return functions and classes of the user's own, ``package.module:name``, by the keys that name
        them."""
        return {}

    @property
    def cost_matched(self) -> str | None:
        """Return the generator whose measured cost decides how much goes into these networks."""
        return None

    @property
    def asks_for_zoos(self) -> bool:
        """Whether it knows several zoos, and asks for one with each of its samples."""
        return False

    @property
    def drawn_in(self) -> tuple[str, str] | None:
        """Return the zoo of several that its networks are made in, and the generator that makes them
        there."""
        return None

    @property
    def has_likelihood(self) -> bool:
        """Whether log-densities of networks are asked for."""
        return False

    @property
    def halfway(self) -> bool:
        """Whether its networks lie half-way between two training networks."""
        return False

    @property
    def other_sizes(self) -> dict[str, list[int]]:
        """Return the other widths that are asked for, by what folders and tables call them."""
        return {}

    def initialisations(self, zoo: tuple[str, ...]) -> tuple[str, ...]:
        """Return how networks that are made whole are initialised, in turn, given how the ``zoo``'s are."""
        return zoo

    def without(self, *names: str) -> Self:
        """Return the settings with these at their defaults."""
        fields = type(self).model_fields
        return self.model_copy(
            update={name: fields[name].get_default(call_default_factory=True) for name in names}
        )

    def as_fitted(self) -> Self:
        """Return the settings that decide the fit: all others are at their defaults."""
        return self.without("sampling", *self.analyses)

    def as_sampled(self) -> Self:
        """Return the settings that decide the samples: all others are at their defaults."""
        return self.without(*self.analyses)

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        """Yield a line for everything that does not fit between these settings, found at the key ``where``,
        and a zoo."""
        yield from ()

    @planning
    def problems_with_representation(
        self, where: str, representation: str, config: WorkflowConfig
    ) -> Iterator[str]:
        """Yield a line for everything that does not fit between these settings and a representation."""
        yield from ()

    @planning
    def problems_with_subspace(self, where: str, subspace: str, config: WorkflowConfig) -> Iterator[str]:
        """Yield a line for everything that does not fit between these settings and a subspace."""
        yield from ()

    @planning
    def fit_work(self, sizes: Sizes) -> Work:
        """Return what the fit takes: by default some copies of the rows, and many passes over them."""
        return Work(80 * sizes.n * sizes.k, 1e4 * sizes.n * sizes.k)

    @planning
    def fit_bytes(self, sizes: Sizes) -> float:
        """Return the bytes that the fit cannot do without on a GPU, as far as is known."""
        return 0.0

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        """Return what sampling takes: by default combinations of the training networks."""
        return Work(32 * sizes.n * (sizes.n + sizes.g), sizes.n**2 * sizes.g)

    @planning
    def make_work(self, sizes: Sizes, networks: int) -> Work | None:
        """Return what making some ``networks`` takes, where it is not a part of the zoo's own training."""
        return None

    @planning
    def epochs_trained(self, training: TrainingConfig) -> float:
        """Return how many passes over the training data a job takes that makes networks of the zoo's
        ``training``."""
        return 0.0
