"""Generators: flows, and the controls they are compared with."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dwf_steps.config.controls import ControlConfig, Draws, Positive, Seed
from dwf_steps.config.section import CALLABLE_PATTERN, Name, Section


class Guidance(Section):
    """Steers a flow towards networks that do well: the velocity minus ``scale`` times the gradient of their
    loss on training examples."""

    scale: Positive = 0.1
    """Factor of the gradient, lambda."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Training examples that every evaluation of the field draws anew, the same for all networks."""
    transfer: Name | None = None
    """The transfer whose data set's training examples they are, for networks of another data set; by default
    the zoo's own."""
    objective: Annotated[str, Field(pattern=CALLABLE_PATTERN)] | None = None
    """A loss of your own, `package.module:function`, of outputs (n, b, c) and targets (b,), that returns
    (n,); by default the task's."""
    code: str = ""
    """Filled in by the workflow: a digest of the file that defines the objective."""


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
    rtol: Positive = 1e-5
    """Relative tolerance of dopri5."""
    atol: Positive = 1e-5
    """Absolute tolerance of dopri5, in units of the target's standard deviation."""


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


class UnitTransformerConfig(Section):
    """The velocity network: a transformer over hidden units, for whole networks (subspace `none`)."""

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
    single hidden layer's units plays no part."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "UnitTransformerConfig":
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

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "RelationalTransformerConfig":
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
    """Seed of initial weights, batches, noise and dropout."""

    def validation_draws(self, dimension: int) -> int:
        """Return on how many points of ``dimension`` coordinates the validation loss is measured: 1024, or as
        many as take 256 MiB, but a batch at least."""
        return min(1024, max(self.batch_size, 2**28 // (4 * dimension)))


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

AFTER_FITTING = ("sampling", "likelihood", "other_widths")
"""Settings of a flow that play no part in its training."""


class FlowConfig(Section):
    """Conditional flow matching over the networks' latents."""

    kind: Literal["flow"]
    """Marks the generator as a flow."""
    source: Literal["standard", "kaiming"] = "standard"
    """Where the flow starts: at standard normal latents, or at those of untrained networks (He et al. 2015,
    normal), whose mean and covariance in the subspace are computed exactly."""
    source_std: Positive = 1.0
    """Factor of the source's standard deviation; the target's is 1. Small values, such as the published 0.01
    in absolute units, return the training networks."""
    sigma: Annotated[float, Field(ge=0)] = 1e-3
    """Standard deviation of the noise around the path, in units of the target's."""
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
    def other_sizes(self) -> dict[str, list[int]]:
        """Return the other widths by what folders and tables call them: `784-32-10`."""
        return {"-".join(map(str, widths)): widths for widths in self.other_widths}

    @model_validator(mode="after")
    def _kaiming_among_weights(self) -> "FlowConfig":
        if self.source == "kaiming" and self.geometry != "euclidean":
            raise ValueError(f"source: 'kaiming' starts among weights as they are, not {self.geometry} ones")
        return self

    @model_validator(mode="after")
    def _standard_source(self) -> "FlowConfig":
        for name in AFTER_FITTING[1:]:
            if self.source == "kaiming" and getattr(self, name):
                raise ValueError(f"{name} needs source: 'standard', found 'kaiming'; leave one of them out")
        return self

    @model_validator(mode="after")
    def _other_widths_by_graph(self) -> "FlowConfig":
        placed = isinstance(self.velocity, UnitTransformerConfig) and self.velocity.positions
        if self.other_widths and (placed or isinstance(self.velocity, VelocityConfig)):
            raise ValueError(
                "other_widths needs a velocity network that knows no widths: use velocity.network "
                "'relational_transformer', or 'unit_transformer' without positions, found "
                f"{self.velocity.network!r}{' with positions' if placed else ''}"
            )
        return self


GeneratorConfig = Annotated[FlowConfig | ControlConfig, Field(discriminator="kind")]
