"""Flows: their settings, and which of these exclude each other."""

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
    VelocityConfig,
)
from dwf_steps.config.section import Section, Seed, planning

if TYPE_CHECKING:
    from dwf_steps.config.workflow import WorkflowConfig


INITIALISATION = "initialisation"


class Condition(Section):
    """What a flow is conditioned on.

    The condition is a property of each training network, so that samples can be requested with the properties
    of the best networks, or of one zoo (classifier-free guidance; Ho & Salimans 2022, arXiv 2207.12598).
    """

    variable: Literal["accuracy", "loss", "epoch", "zoo"]
    """The property: a network's `accuracy` on the validation set, its mean `loss` on the training set, the
    `epoch` of a checkpoint in zoos with a `trajectory`, or the member `zoo` in joint zoos. The test set is
    not used."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Probability of hiding the condition in training. The same velocity network then also learns the
    unconditional flow, which `sampling.condition_weight` and `likelihood` need."""


class TimeDistribution(Section):
    """How training times are drawn from [0, 1]."""

    distribution: Literal["uniform", "beta"] = "uniform"
    """`uniform`, or `beta` with parameters a and b."""
    a: Positive = 1.0
    """First parameter of Beta(a, b)."""
    b: Positive = 2.0
    """Second parameter of Beta(a, b); Beta(1, 2) favours early times."""


class Likelihood(Section):
    """Log-densities of networks under a flow: of training networks, held-out networks and samples.

    A flow that memorises assigns far higher densities to training networks than to held-out ones.
    """

    networks: Annotated[int, Field(ge=1)] = 50
    """Maximum number of networks of each of the three kinds, evenly spaced."""
    divergence: Literal["exact", "hutchinson"] = "hutchinson"
    """`exact` takes one derivative per latent dimension, for small problems; `hutchinson` estimates the
    divergence from random probes."""
    probes: Annotated[int, Field(ge=1)] = 25
    """Number of random probes in Hutchinson's estimate."""
    steps: Annotated[int, Field(ge=1)] = 20
    """Number of rk4 steps from t = 1 back to 0."""
    seed: Seed = 0
    """Seed of the random probes."""


Widths = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=3)]


class FlowConfig(GeneratorConfig):
    """Conditional flow matching on the networks' latents."""

    implementation: ClassVar[str] = "dwf_steps.generators.flow_generator:Flow"
    control: ClassVar[bool] = False
    accelerated: ClassVar[bool] = True
    analyses: ClassVar[tuple[str, ...]] = ("likelihood", "other_widths")

    kind: Literal["flow"]
    """Selects a flow."""
    source: Literal["standard", "kaiming", "initialisation"] = "standard"
    """Distribution at t = 0: standard normal latents (`standard`); the latents of untrained networks (He et
    al. 2015, normal), whose mean and covariance in the subspace are computed exactly (`kaiming`); or the
    initial weights of the networks themselves, each paired with its network, and those of new seeds in
    sampling (`initialisation`, which needs `layers: first` and a zoo that the workflow trains)."""
    source_std: Positive = 1.0
    """Factor of the source's standard deviation; the target's is 1. Small values, such as the published 0.01
    in absolute units, reproduce the training networks."""
    sigma: Annotated[float, Field(ge=0)] = 1e-3
    """Standard deviation of the noise around the path, relative to the target's."""
    layers: Literal["all", "first"] = "all"
    """The modelled part: `all` layers, or the `first` layer alone, with the training networks' mean in all
    others (that of the requested zoo's if the flow is conditioned on it), as with `sampling.later_scale: 0`.
    `first` needs subspace `none`."""
    geometry: Literal["euclidean", "normalized", "geometric"] = "euclidean"
    """The space of the flow: `euclidean`, the weights without constraints; or networks in canonical form, in
    which each unit's incoming weights and the last layer lie on spheres, with straight paths (`normalized`)
    or geodesics and a uniform source (`geometric`). The last two need ReLU networks and subspace `none`."""
    prediction: Literal["velocity", "endpoint"] = "velocity"
    """What the network predicts: the velocity, or the endpoint of the path, from which the velocity
    follows."""
    coupling: Literal["independent", "ot"] = "independent"
    """How noise and networks of a minibatch are paired: independently, or by the exact optimal assignment for
    the distance of the geometry (`ot`)."""
    time: TimeDistribution = TimeDistribution()
    """Distribution of training times."""
    velocity: AnyVelocity = VelocityConfig()
    """The velocity network."""
    condition: Condition | None = None
    """The property of networks that the velocity network is conditioned on, if any."""
    training: FlowTraining = FlowTraining()
    """How the velocity network is fitted."""
    sampling: FlowSampling = FlowSampling()
    """How networks are sampled; changing it does not repeat the fit."""
    likelihood: Likelihood | None = None
    """If set, log-densities of networks under the flow are computed; see the table `likelihood`."""
    other_widths: list[Widths] = Field(default=[])
    """Multilayer perceptrons of other widths and depths to sample, `[[784, 32, 10]]`. The velocity network
    must be a relational transformer or, with one hidden layer, a transformer over units. See the table
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
            raise ValueError(f"source: 'kaiming' needs geometry: 'euclidean', found {self.geometry!r}")
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
                        f"sampling.{name}: found {found!r}, but the flow has no condition; "
                        "set condition: {variable: accuracy}, or leave it out"
                    )
            return self
        variable, value = self.condition.variable, sampling.condition
        if variable == "zoo" and value != "best":
            raise ValueError(
                f"sampling.condition: found {value!r}, but the flow is conditioned on the zoo; "
                "name one as sampling.zoo, or leave it out for every zoo in turn"
            )
        if variable == "zoo" and sampling.guidance is not None:
            raise ValueError(
                "sampling.guidance: steers by the loss on one data set, but the flow is fitted to several "
                "zoos; leave it out"
            )
        if variable != "zoo" and sampling.zoo is not None:
            raise ValueError(
                f"sampling.zoo: found {sampling.zoo!r}, but the flow is conditioned on {variable}; "
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
        placed = self.velocity.positions
        if self.other_widths and (placed or not self.velocity.by_unit):
            raise ValueError(
                "other_widths needs a velocity network that does not depend on widths: use velocity.network "
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
        """Return the work of fitting the velocity network, and of drawing networks' initial weights."""
        work = self.training.work(self.velocity.weights_used(sizes), sizes)
        starts = 24 * sizes.n * max(sizes.d, sizes.k) * self.reads_initialisations
        return Work(work.held + starts, work.operations, work.steps)

    @planning
    def fit_bytes(self, sizes: Sizes) -> float:
        """Return the memory of the velocity network, its gradients and moments, and of the latents."""
        return 20 * self.velocity.weights_held(sizes) + 4 * sizes.n * sizes.k

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        """Return the work of four evaluations per step, and of guidance; dopri5 chooses its steps itself.

        Guidance takes the networks, their gradients, and the training rows that they are decoded from.
        """
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
        """Return the work of four evaluations per step, each with a derivative for every probe."""
        used, n = self.velocity.weights_used(sizes), min(sizes.n, asked.networks) + sizes.g
        probes = sizes.k if asked.divergence == "exact" else asked.probes
        matrix = 12 * sizes.n * sizes.k * sizes.raw
        held = 8 * used + 24 * n * sizes.k * (1 + asked.probes) + 2**26 + matrix
        evaluations = 4 * asked.steps
        return Work(held, evaluations * 2 * used * n * (1 + 2 * probes), evaluations * probes)
