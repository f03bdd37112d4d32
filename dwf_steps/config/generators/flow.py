"""Flows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.base import (
    Context,
    Draws,
    GeneratorConfig,
    NotNegative,
    Positive,
    Sizes,
    Work,
)
from dwf_steps.config.representation import WEIGHTS
from dwf_steps.config.section import CALLABLE_PATTERN, Name, Section, Seed, planning, unknown
from dwf_steps.config.zoo import AnyZoo, JointZoo, TrainedZoo, network_names, trajectory_names

if TYPE_CHECKING:
    from dwf_steps.config.workflow import WorkflowConfig


INITIALISATION = "initialisation"


class Guidance(Section):
    """Steers a flow towards networks that do well: the velocity minus ``scale`` times the gradient of their
    loss on training examples."""

    scale: Positive = 0.1
    """Factor of the gradient, lambda."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Training examples that every evaluation of the field draws again, the same for all networks."""
    transfer: Name | None = None
    """The transfer whose data set's training examples they are, for networks of another data set; by default
    the zoo's own."""
    objective: Annotated[str, Field(pattern=CALLABLE_PATTERN)] | None = None
    """A loss of your own, `package.module:function`, of outputs (n, b, c) and targets (b,), that returns
    (n,); by default the task's."""


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


class FlowSampling(Draws):
    """How the flow's ODE is integrated from t = 0 to t = 1."""

    solver: Literal["euler", "rk4", "dopri5"] = "rk4"
    """Solver (torchdiffeq): `rk4` is the 3/8 rule; `dopri5` adapts its steps."""
    steps: Annotated[int, Field(ge=1)] = 100
    """Steps of the fixed-step solvers."""
    guidance: Guidance | None = None
    """Steering by the networks' loss, if any."""
    temperature: Positive = 1.0
    """Factor of the source's standard deviation when sampling: below 1 samples are more typical."""
    condition: Literal["best", "training"] | Annotated[float, Field(strict=True)] = "best"
    """Of flows with a `condition`: the value that samples are asked for, that of the `best` training network
    (highest accuracy, lowest loss, last epoch), one drawn for each sample from all `training` networks', or a
    number: a share from 0 to 1 of accuracy, a loss, or epochs."""
    zoo: Name | None = None
    """Of flows whose `condition` is the zoo: the one whose networks are asked for; by default every zoo in
    turn."""
    condition_weight: NotNegative = 0.0
    """Weight w of classifier-free guidance: velocities are (1 + w) v(x | condition) - w v(x), which takes two
    evaluations; with 0 they are v(x | condition). Not to be confused with `guidance`, by gradients."""
    rtol: Positive = 1e-5
    """Relative tolerance of dopri5."""
    atol: Positive = 1e-5
    """Absolute tolerance of dopri5, in units of the target's standard deviation."""

    def zoos_asked(self, zoos: Sequence[str], rows: int) -> list[str]:
        """Return which of the ``zoos`` each of so many rows is asked for, candidates for a network alike."""
        turn = zoos if self.zoo is None else [self.zoo]
        return [turn[row // self.candidates % len(turn)] for row in range(rows)]


class TimeDistribution(Section):
    """How training times are drawn from [0, 1]."""

    distribution: Literal["uniform", "beta"] = "uniform"
    """`uniform`, or `beta` with parameters a and b."""
    a: Positive = 1.0
    """First parameter of Beta(a, b)."""
    b: Positive = 2.0
    """Second parameter of Beta(a, b); Beta(1, 2) prefers early times."""


class VelocityConfig(Section):
    """The velocity network: an MLP on [latent, time embedding] with LayerNorm, GELU and dropout."""

    network: Literal["mlp"] = "mlp"
    """Marks the velocity network as this one."""
    width: Annotated[int, Field(ge=1)] = 512
    """Width h. Hidden layers are h, then h/2, then h again."""
    depth: Annotated[int, Field(ge=1)] = 3
    """Hidden layers; the first and the last are h wide, those between h/2."""
    time_embedding: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    """Width of the sinusoidal embedding of t."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout after every hidden layer."""

    @planning
    def weights_used(self, sizes: Sizes) -> float:
        """Return how many products an evaluation for one network takes."""
        return self.width * (2 * sizes.k + self.time_embedding + self.depth * self.width)

    @planning
    def weights_held(self, sizes: Sizes) -> float:
        """Return how many weights the network has at least: those of its first and its last layer."""
        return self.width * (2 * sizes.k + self.time_embedding)


class UnitTransformerConfig(Section):
    """The velocity network: a transformer over units, for whole networks (subspace `none`). Its tokens are
    hidden units with the weights around them, or, among responses, every layer's units with their
    coordinates."""

    network: Literal["unit_transformer"]
    """Marks the velocity network as this one."""
    width: Annotated[int, Field(ge=1)] = 128
    """Width of a token; a multiple of heads."""
    depth: Annotated[int, Field(ge=1)] = 4
    """Blocks of attention and MLP."""
    heads: Annotated[int, Field(ge=1)] = 4
    """Attention heads."""
    time_embedding: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    """Width of the sinusoidal embedding of t."""
    positions: bool = False
    """Tell units apart by their place, which means something in aligned networks; without it the order of a
    single hidden layer's units plays no part. Among responses that holds for all hidden layers: leave units
    their place where residual connections add layers up. With it every unit is there standardised by
    itself."""

    @planning
    def weights_used(self, sizes: Sizes) -> float:
        """Return how many products an evaluation for one network takes: what every unit passes through, and
        what a unit's numbers pass through."""
        return 18 * sum(sizes.layers[:-1]) * self.depth * self.width**2 + 2 * sizes.k * self.width

    @planning
    def weights_held(self, sizes: Sizes) -> float:
        """Return how many weights the network has at least: units share them, so there are few."""
        return 0.0

    @model_validator(mode="after")
    def _heads_divide_width(self) -> UnitTransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self


class RelationalTransformerConfig(Section):
    """The velocity network: a relational transformer on the network's own graph, units being nodes and
    weights edges, for whole multilayer perceptrons (subspace `none`)."""

    network: Literal["relational_transformer"]
    """Marks the velocity network as this one."""
    width: Annotated[int, Field(ge=1)] = 32
    """Features of a node and of an edge; a multiple of heads."""
    depth: Annotated[int, Field(ge=1)] = 4
    """Blocks of attention and updates."""
    heads: Annotated[int, Field(ge=1)] = 1
    """Attention heads."""
    time_embedding: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    """Width of the sinusoidal embedding of t."""

    @planning
    def weights_used(self, sizes: Sizes) -> float:
        """Return how many products an evaluation for one network takes: what every weight passes through."""
        return 10 * sizes.d * self.depth * self.width**2

    @planning
    def weights_held(self, sizes: Sizes) -> float:
        """Return how many weights the network has at least: units share them, so there are few."""
        return 0.0

    @model_validator(mode="after")
    def _heads_divide_width(self) -> RelationalTransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self


def _network(value: Any) -> str:
    network = value.get("network", "mlp") if isinstance(value, dict) else getattr(value, "network", "mlp")
    return str(network)


AnyVelocity = Annotated[
    Annotated[VelocityConfig, Tag("mlp")]
    | Annotated[UnitTransformerConfig, Tag("unit_transformer")]
    | Annotated[RelationalTransformerConfig, Tag("relational_transformer")],
    Discriminator(_network),
]


class FlowTraining(Section):
    """How the velocity network is fitted (AdamW, cosine schedule, exponential moving average)."""

    steps: Annotated[int, Field(ge=1)] = 30_000
    """Optimisation steps."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Pairs (source noise, training network) a step."""
    lr: Positive = 5e-4
    """Initial learning rate."""
    lr_min: Annotated[float, Field(ge=0)] = 1e-6
    """Learning rate at the end of the cosine schedule."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    """Decoupled weight decay."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.95)
    """Adam's decay rates."""
    clip: Positive | None = None
    """Largest norm of the gradient; longer ones are shortened to it."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the moving average of the weights, which is what samples; 0 keeps the last weights."""
    seed: Seed = 0
    """Seed of initial weights, batches, noise and dropout, and of which networks are left out."""
    validation_networks: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training networks, whole trajectories, that the fit leaves out, at least one where it is
    not 0: the validation loss is then measured on them, and the averaged weights of the report with the
    lowest one are kept. With 0 it is measured on all networks, with other noise than the fit's, and the last
    weights are kept. The zoo's held-out networks are never among them."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many reports without a lower validation loss, of which all `steps` have 50; needs
    `validation_networks`."""

    @model_validator(mode="after")
    def _patience_with_networks_left_out(self) -> FlowTraining:
        if self.patience is not None and self.validation_networks == 0:
            raise ValueError(
                f"patience: found {self.patience} without validation_networks; it waits for a lower loss on "
                "networks that are left out: set validation_networks (0.1), or leave patience out"
            )
        return self

    def left_out(self, trajectories: int) -> int:
        """Return how many of the ``trajectories`` that training networks lie on are left out of the fit."""
        share = self.validation_networks
        return max(1, round(share * trajectories)) if share else 0

    def validation_draws(self, dimension: int) -> int:
        """Return on how many points of ``dimension`` coordinates the validation loss is measured: 1024, or as
        many as take 256 MiB, but a batch at least."""
        return min(1024, max(self.batch_size, 2**28 // (4 * dimension)))

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        """Yield a line where too few of the zoo's networks are left to fit a generator at ``where``."""
        config = context.config.zoos[zoo]
        trained = len(trajectory_names(config)) - config.held_out
        if (left := self.left_out(trained)) and trained - left < 2:
            yield (
                f"{where}.training.validation_networks: {self.validation_networks:g} leaves {left} "
                f"of zoo {zoo!r}'s {trained} trainings out and {trained - left} to fit, expected 2 at least; "
                "lower it"
            )

    @planning
    def work(self, used: float, sizes: Sizes) -> Work:
        """Return what fitting a network of ``used`` weights takes: these with mean, gradients, two moments
        and as saved, and their best mean; raw latents in float64."""
        draws = self.batch_size + self.validation_draws(sizes.k)
        latents = sizes.n * sizes.k * (28 + sizes.item if sizes.raw else 12) + 24 * draws * sizes.k
        kept = 4 * used * (self.validation_networks > 0)
        operations = self.steps * used * (6 * self.batch_size + 30)
        return Work(28 * used + kept + latents, operations, self.steps)


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
        architecture, symmetries = context.config.zoos[zoo].architecture, context.facts(zoo).symmetries
        yield from self._guidance_problems(where, zoo, context)
        if self.reads_initialisations and not isinstance(context.config.zoos[zoo], TrainedZoo):
            origin = "of several zoos" if isinstance(context.config.zoos[zoo], JointZoo) else "imported"
            yield (
                f"{where}.source: {INITIALISATION!r} starts at networks' first weights, but zoo {zoo!r} is "
                f"{origin}, and its networks' are not known; use source: 'standard'"
            )
        yield from self._training_problems(where, zoo, context)
        if self.geometry != "euclidean" and "rescaling_spec" not in symmetries:
            yield (
                f"{where}.geometry: {self.geometry!r} scales units, but zoos.{zoo}.architecture "
                f"({architecture.called}) states no scaling symmetry (`rescaling_spec`); use 'euclidean'"
            )
        if not isinstance(architecture, MLPConfig):
            if self.source == "kaiming":
                yield (
                    f"{where}.source: 'kaiming' needs multilayer perceptrons, but the networks of zoo "
                    f"{zoo!r} are {architecture.called}; use 'standard'"
                )
            if isinstance(self.velocity, RelationalTransformerConfig):
                yield (
                    f"{where}.velocity.network: 'relational_transformer' knows the graphs of multilayer "
                    f"perceptrons alone, but the networks of zoo {zoo!r} are {architecture.called}"
                )
            by_unit = isinstance(self.velocity, UnitTransformerConfig) and self._among_weights(zoo, context)
            if by_unit and "permutation_spec" not in symmetries:
                yield (
                    f"{where}.velocity.network: 'unit_transformer' must know which weights belong to a unit, "
                    f"but {architecture.called} states no `permutation_spec`, and tracing finds none"
                )
        yield from self._other_widths_problems(where, zoo, context)

    @planning
    def _among_weights(self, zoo: str, context: Context) -> bool:
        """Return whether an experiment runs it among the weights of a zoo's networks."""
        config = context.config
        return any(
            cell.zoo == zoo
            and config.generators[cell.generator] is self
            and config.representations[cell.representation].kind == WEIGHTS
            for cell in config.cells_made()
        )

    @planning
    def _guidance_problems(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        guidance, config = self.sampling.guidance, context.config
        if guidance is None:
            return
        if context.facts(zoo).normalised:
            yield (
                f"{where}.sampling.guidance: networks that normalise batches (zoos.{zoo}.architecture) have "
                "statistics beside their weights, which the gradient does not know; leave it out"
            )
        if guidance.objective is not None:
            key, classes = f"{where}.sampling.guidance.objective", config.zoos[zoo].architecture.classes
            yield from context.objective_problems(guidance.objective, key, classes)
        if (to := guidance.transfer) is None:
            return
        if to not in config.transfers:
            yield f"{where}.sampling.guidance.transfer: {unknown(to, list(config.transfers))}"
        elif config.transfers[to].head == "new":
            yield (
                f"{where}.sampling.guidance.transfer: {to!r} gives networks a new head, but a flow moves "
                f"whole networks; set transfers.{to}.head: kept"
            )
        else:
            yield from context.transfer_problems(zoo, to)

    @planning
    def _training_problems(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        config = context.config.zoos[zoo]
        trainings = len(trajectory_names(config))
        told_apart = trainings < len(network_names(config))
        if self.condition is not None and self.condition.variable == "epoch" and not told_apart:
            trained_here = isinstance(config, TrainedZoo)
            cure = f"set zoos.{zoo}.trajectory" if trained_here else f"name {{epoch}} in zoos.{zoo}.import"
            yield (
                f"{where}.condition.variable: 'epoch' tells checkpoints of a training from each other, but "
                f"the networks of zoo {zoo!r} are one of each training; {cure}, or use 'accuracy' or 'loss'"
            )
        yield from self._zoo_condition_problems(where, zoo, config)
        yield from self.training.problems_with_zoo(where, zoo, context)

    @planning
    def _zoo_condition_problems(self, where: str, zoo: str, config: AnyZoo) -> Iterator[str]:
        if not self.asks_for_zoos:
            return
        if not isinstance(config, JointZoo):
            yield (
                f"{where}.condition.variable: 'zoo' tells the networks of several zoos from each other, but "
                f"{zoo!r} is a single one; fit the flow in a zoo of zoos, `{{zoos: [{zoo}, ...]}}`, and take "
                "its networks here by a generator of kind 'joint'"
            )
        elif self.sampling.zoo not in (None, *config.members):
            yield f"{where}.sampling.zoo: {unknown(str(self.sampling.zoo), list(config.members))}"

    @planning
    def _other_widths_problems(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        architecture = context.config.zoos[zoo].architecture
        own = architecture.widths if isinstance(architecture, MLPConfig) else None
        for widths in self.other_widths:
            if own is None or (widths[0], widths[-1]) != (own[0], own[-1]):
                yield (
                    f"{where}.other_widths: found {widths}, but zoo {zoo!r} has "
                    f"{own or architecture.called}; multilayer perceptrons with the same inputs and "
                    "outputs are possible"
                )
            elif isinstance(self.velocity, UnitTransformerConfig) and (len(own), len(widths)) != (3, 3):
                yield (
                    f"{where}.other_widths: found {widths}, and zoo {zoo!r} has {own}, but a transformer "
                    "over units knows other widths of one hidden layer only; use 'relational_transformer'"
                )
            elif len(own) == 3 and len(widths) > 3:
                yield (
                    f"{where}.other_widths: found {widths}, but zoo {zoo!r} has {own}, from which "
                    "nothing is known of a hidden layer that follows another one; use one hidden layer"
                )

    @planning
    def problems_with_representation(
        self, where: str, representation: str, config: WorkflowConfig
    ) -> Iterator[str]:
        kind = config.representations[representation].kind
        if kind == WEIGHTS:
            return
        cures = {}
        if self.source == "kaiming":
            cures["source: 'kaiming'"] = "set source: 'standard'"
        if self.geometry != "euclidean":
            cures[f"geometry: {self.geometry!r}"] = "set geometry: 'euclidean'"
        if isinstance(self.velocity, RelationalTransformerConfig):
            cures[f"velocity.network: {self.velocity.network!r}"] = (
                "set velocity.network: 'mlp' or 'unit_transformer'"
            )
        if self.sampling.guidance is not None:
            cures["sampling.guidance"] = "leave it out"
        if self.other_widths:
            cures["other_widths"] = "leave it out"
        for what, cure in cures.items():
            yield (
                f"{where}.{what} needs weights as coordinates, but representations.{representation} has "
                f"kind {kind!r}; {cure}, or use representation {WEIGHTS!r}"
            )

    @planning
    def problems_with_subspace(self, where: str, subspace: str, config: WorkflowConfig) -> Iterator[str]:
        step_by_step = self.geometry == "geometric" or self.prediction == "endpoint"
        if step_by_step and self.sampling.solver != "euler":
            yield (
                f"{where}.sampling.solver: found {self.sampling.solver!r}, but geodesics are followed, and "
                "endpoints turned into velocities, step by step; use 'euler'"
            )
        if config.subspaces[subspace].method == "none":
            if self.source == "kaiming" and self.likelihood is not None:
                yield (
                    f"{where}.likelihood: source 'kaiming' has no density over whole networks, whose biases "
                    f"all start at zero, and subspace {subspace!r} keeps them whole; use a subspace that "
                    "reduces them, or source: 'standard'"
                )
            return
        needed = []
        if not isinstance(self.velocity, VelocityConfig):
            needed.append(f"velocity.network: {self.velocity.network!r}")
        if self.geometry != "euclidean":
            needed.append(f"geometry: {self.geometry!r}")
        if self.layers != "all":
            needed.append(f"layers: {self.layers!r}")
        for what in needed:
            yield (
                f"{where}.{what} needs whole networks, but subspace {subspace!r} reduces them; use a "
                "subspace of method 'none'"
            )

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
