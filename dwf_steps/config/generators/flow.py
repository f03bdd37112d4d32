"""Flows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dwf_steps.config.generators.base import Context, GeneratorConfig, Positive, Sizes, Work
from dwf_steps.config.generators.flow_problems import (
    flow_representation_problems,
    flow_subspace_problems,
    flow_zoo_problems,
)
from dwf_steps.config.generators.flow_sampling import FlowSampling
from dwf_steps.config.generators.flow_training import FlowTraining
from dwf_steps.config.generators.velocity import (
    AnyVelocity,
    RelationalTransformerConfig,
    UnitTransformerConfig,
    VelocityConfig,
)
from dwf_steps.config.section import Section, Seed, planning

if TYPE_CHECKING:
    from dwf_steps.config.workflow import WorkflowConfig


INITIALISATION = "initialisation"


class Condition(Section):
    """What a flow is told of each training network while it is fitted, so that samples may be asked for the
    best ones, or for those of one zoo (classifier-free guidance, Ho & Salimans 2022, arXiv 2207.12598)."""

    variable: Literal["accuracy", "loss", "epoch", "zoo"]
    """A network's `accuracy` on the validation examples, its mean `loss` on the training examples, the
    `epoch` that a checkpoint was taken after, in zoos with a `trajectory`, or, in a zoo of several, the `zoo`
    that it is of. The test set plays no part."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Probability of training on a network without telling its value: the same velocity network then also
    learns the unconditional flow, which `sampling.condition_weight` and `likelihood` need."""


class TimeDistribution(Section):
    """How training times are drawn from [0, 1]."""

    distribution: Literal["uniform", "beta"] = "uniform"
    """`uniform`, or `beta` with parameters a and b."""
    a: Positive = 1.0
    """First parameter of Beta(a, b)."""
    b: Positive = 2.0
    """Second parameter of Beta(a, b); Beta(1, 2) prefers early times."""


class Likelihood(Section):
    """Log-densities under a flow, of training networks, held-out ones and its own samples: a flow that copies
    finds training networks far more likely than held-out ones."""

    networks: Annotated[int, Field(ge=1)] = 50
    """Of each kind at most so many, evenly spaced."""
    divergence: Literal["exact", "hutchinson"] = "hutchinson"
    """`exact`: a derivative for every latent, for small networks; `hutchinson`: estimated from random
    probes."""
    probes: Annotated[int, Field(ge=1)] = 25
    """Random directions of Hutchinson's estimate."""
    steps: Annotated[int, Field(ge=1)] = 20
    """Steps of rk4 from t = 1 back to 0."""
    seed: Seed = 0
    """Seed of the probes."""


Widths = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=3)]


class FlowConfig(GeneratorConfig):
    """Conditional flow matching over the networks' latents."""

    implementation: ClassVar[str] = "dwf_steps.generators.flow_generator:Flow"
    control: ClassVar[bool] = False
    accelerated: ClassVar[bool] = True
    analyses: ClassVar[tuple[str, ...]] = ("likelihood", "other_widths")

    kind: Literal["flow"]
    """Marks the generator as a flow."""
    source: Literal["standard", "kaiming", "initialisation"] = "standard"
    """Where the flow starts: at standard normal latents; at those of untrained networks (He et al. 2015,
    normal), whose mean and covariance in the subspace are computed exactly (`kaiming`); or at the networks'
    own first weights, each paired with its network, and in sampling at those of new seeds
    (`initialisation`, which needs `layers: first` and a zoo that is trained here)."""
    source_std: Positive = 1.0
    """Factor of the source's standard deviation; the target's is 1. Small values, such as the published 0.01
    in absolute units, return the training networks."""
    sigma: Annotated[float, Field(ge=0)] = 1e-3
    """Standard deviation of the noise around the path, in units of the target's."""
    layers: Literal["all", "first"] = "all"
    """What is modelled: whole networks, or their first layer alone, all others being the training networks'
    mean, as with `sampling.later_scale: 0`. `first` needs subspace `none`."""
    geometry: Literal["euclidean", "normalized", "geometric"] = "euclidean"
    """Where the flow lives: among weights as they are; among networks in canonical form, each unit's incoming
    weights and the last layer on spheres, by straight lines between them (`normalized`) or by geodesics
    (`geometric`, the source uniform on the spheres). The last two need ReLU networks and subspace `none`."""
    prediction: Literal["velocity", "endpoint"] = "velocity"
    """What the network says: the velocity, or where the path ends, from which the velocity follows."""
    coupling: Literal["independent", "ot"] = "independent"
    """How noise and networks of a minibatch are paired; `ot` solves the exact assignment, by the geometry's
    own distance."""
    time: TimeDistribution = TimeDistribution()
    """Distribution of training times."""
    velocity: AnyVelocity = VelocityConfig()
    """The velocity network."""
    condition: Condition | None = None
    """What it is told of each network besides time and place, if anything."""
    training: FlowTraining = FlowTraining()
    """Its training."""
    sampling: FlowSampling = FlowSampling()
    """Its sampling; changing it does not retrain the flow."""
    likelihood: Likelihood | None = None
    """Log-densities of networks under the flow, where they are asked for; table `likelihood`."""
    other_widths: list[Widths] = Field(default=[])
    """Multilayer perceptrons of other widths and depths to sample, `[[784, 32, 10]]`, from a flow whose
    velocity network is a relational transformer or, with one hidden layer, one over units; table
    `other_widths`."""

    @property
    def fitted(self) -> bool:
        return True

    @property
    def reads_weights(self) -> bool:
        return self.sampling.guidance is not None or self.reads_initialisations

    @property
    def reads_data(self) -> bool:
        return self.sampling.guidance is not None

    @property
    def data_of(self) -> str | None:
        return None if self.sampling.guidance is None else self.sampling.guidance.transfer

    @property
    def encodes_networks(self) -> bool:
        return self.reads_initialisations

    @property
    def reads_initialisations(self) -> bool:
        return self.source == INITIALISATION

    @property
    def plugins(self) -> dict[str, str]:
        guidance = self.sampling.guidance
        if guidance is None or guidance.objective is None:
            return {}
        return {"sampling.guidance.objective": guidance.objective}

    @property
    def has_likelihood(self) -> bool:
        return self.likelihood is not None

    @property
    def asks_for_zoos(self) -> bool:
        return self.condition is not None and self.condition.variable == "zoo"

    @property
    def other_sizes(self) -> dict[str, list[int]]:
        return {"-".join(map(str, widths)): widths for widths in self.other_widths}

    @model_validator(mode="after")
    def _kaiming_among_weights(self) -> FlowConfig:
        if self.source == "kaiming" and self.geometry != "euclidean":
            raise ValueError(f"source: 'kaiming' starts among weights as they are, not {self.geometry} ones")
        return self

    @model_validator(mode="after")
    def _first_layer_alone(self) -> FlowConfig:
        if self.layers == "all":
            return self
        refused = {
            f"source: {self.source!r}": self.source == "kaiming",
            f"geometry: {self.geometry!r}": self.geometry != "euclidean",
            f"velocity.network: {self.velocity.network!r}": isinstance(
                self.velocity, RelationalTransformerConfig
            ),
            "other_widths": bool(self.other_widths),
            f"sampling.later_scale: {self.sampling.later_scale:g}": self.sampling.later_scale not in (0, 1),
        }
        if found := [what for what, bad in refused.items() if bad]:
            raise ValueError(
                "layers: 'first' models the first layer alone, all others being the training networks' mean; "
                f"found {' and '.join(found)}, which needs whole networks. Leave it out, or set layers: 'all'"
            )
        return self

    @model_validator(mode="after")
    def _paired_source(self) -> FlowConfig:
        if self.source != INITIALISATION:
            return self
        needed = {
            f"layers: {self.layers!r}": (self.layers == "first", "set layers: 'first'"),
            f"coupling: {self.coupling!r}": (self.coupling == "independent", "leave it out"),
            "likelihood": (self.likelihood is None, "leave it out"),
        }
        for what, (fine, cure) in needed.items():
            if not fine:
                raise ValueError(
                    f"source: {INITIALISATION!r} starts every network's first layer at its own first "
                    f"weights, and has no density; found {what}: {cure}, or set source: 'standard'"
                )
        return self

    @model_validator(mode="after")
    def _standard_source(self) -> FlowConfig:
        if self.source == "kaiming" and self.other_widths:
            raise ValueError(
                "other_widths needs source: 'standard', found 'kaiming', whose mean and covariance are known "
                "for the zoo's own widths alone; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _asked_for_what_is_told(self) -> FlowConfig:
        sampling, asked = self.sampling, {"condition": "best", "condition_weight": 0, "zoo": None}
        if self.condition is None:
            for name, default in asked.items():
                if (found := getattr(sampling, name)) != default:
                    raise ValueError(
                        f"sampling.{name}: found {found!r}, but the flow is told nothing of its networks; "
                        "set condition: {variable: accuracy}, or leave it out"
                    )
            return self
        variable, value = self.condition.variable, sampling.condition
        if variable == "zoo" and value != "best":
            raise ValueError(
                f"sampling.condition: found {value!r}, but the flow is told zoos; name one as sampling.zoo, "
                "or leave it out for every zoo in turn"
            )
        if variable == "zoo" and self.layers == "first" and sampling.later_scale != 0:
            raise ValueError(
                "sampling.later_scale: with layers: 'first' all other layers would be the mean of all zoos; "
                "set 0 for that of the zoo that is asked for"
            )
        if variable == "zoo" and sampling.guidance is not None:
            raise ValueError(
                "sampling.guidance: steers by the loss on one data set, but the flow is told several zoos; "
                "leave it out"
            )
        if variable != "zoo" and sampling.zoo is not None:
            raise ValueError(
                f"sampling.zoo: found {sampling.zoo!r}, but the flow is told each network's {variable}; "
                "leave it out, or set condition.variable: zoo"
            )
        if not isinstance(value, str) and not 0 <= value <= (1 if variable == "accuracy" else math.inf):
            what = "a share from 0 to 1" if variable == "accuracy" else f"no negative {variable}"
            raise ValueError(f"sampling.condition: found {value:g}, expected {what}")
        if self.condition.dropout == 0:
            for name, used in (
                ("sampling.condition_weight", sampling.condition_weight > 0),
                ("likelihood", self.likelihood is not None),
            ):
                if used:
                    raise ValueError(
                        f"{name} needs the unconditional flow, which condition.dropout: 0 never trains; set "
                        f"condition.dropout (0.1), or leave {name} out"
                    )
        return self

    @model_validator(mode="after")
    def _other_widths_by_graph(self) -> FlowConfig:
        placed = isinstance(self.velocity, UnitTransformerConfig) and self.velocity.positions
        if self.other_widths and (placed or isinstance(self.velocity, VelocityConfig)):
            raise ValueError(
                "other_widths needs a velocity network that knows no widths: use velocity.network "
                "'relational_transformer', or 'unit_transformer' without positions, found "
                f"{self.velocity.network!r}{' with positions' if placed else ''}"
            )
        return self

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        yield from flow_zoo_problems(self, where, zoo, context)

    @planning
    def problems_with_representation(
        self, where: str, representation: str, config: WorkflowConfig
    ) -> Iterator[str]:
        yield from flow_representation_problems(self, where, representation, config)

    @planning
    def problems_with_subspace(self, where: str, subspace: str, config: WorkflowConfig) -> Iterator[str]:
        yield from flow_subspace_problems(self, where, subspace, config)

    @planning
    def fit_work(self, sizes: Sizes) -> Work:
        """The velocity network, and networks' first weights."""
        work = self.training.work(self.velocity.weights_used(sizes), sizes)
        starts = 24 * sizes.n * max(sizes.d, sizes.k) * self.reads_initialisations
        return Work(work.held + starts, work.operations, work.steps)

    @planning
    def fit_bytes(self, sizes: Sizes) -> float:
        """The velocity network with its mean, gradients and two moments, and the latents."""
        return 20 * self.velocity.weights_held(sizes) + 4 * sizes.n * sizes.k

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        """Four evaluations a step; dopri5 chooses its steps itself. Where networks are steered: these, their
        gradients, and the training rows that they are made of."""
        used, g, guidance = self.velocity.weights_used(sizes), sizes.g, self.sampling.guidance
        evaluations = 4 * (1000 if self.sampling.solver == "dopri5" else self.sampling.steps)
        evaluations *= 2 if self.sampling.condition_weight else 1
        held, operations = 8 * used + 48 * g * sizes.k, 2 * used * g
        if self.reads_initialisations:
            held += 24 * g * max(sizes.d, sizes.k) + 12 * sizes.n * sizes.k
        if guidance is not None:
            examples, d = guidance.batch_size, sizes.d
            held += 16 * g * d + 12 * sizes.n * d + 8 * g * examples * sizes.units + sizes.data
            operations += 6 * g * sizes.multiplications * examples + 4 * g * sizes.k * d * (not sizes.raw)
        return Work(held, evaluations * operations, evaluations)

    @planning
    def likelihood_work(self, sizes: Sizes, asked: Likelihood) -> Work:
        """Four evaluations a step, each with a derivative for every probe."""
        used, n = self.velocity.weights_used(sizes), min(sizes.n, asked.networks) + sizes.g
        probes = sizes.k if asked.divergence == "exact" else asked.probes
        matrix = 12 * sizes.n * sizes.k * sizes.raw
        held = 8 * used + 24 * n * sizes.k * (1 + asked.probes) + 2**26 + matrix
        evaluations = 4 * asked.steps
        return Work(held, evaluations * 2 * used * n * (1 + 2 * probes), evaluations * probes)
