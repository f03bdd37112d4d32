"""Autoencoders of networks, with a generator of their codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import Field, model_validator

from dwf_steps.config.generators.base import Context, Draws, GeneratorConfig, NotNegative, Sizes, Work
from dwf_steps.config.generators.diffusion import DiffusionConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.flow_training import FlowTraining
from dwf_steps.config.generators.gaussian import GaussianConfig
from dwf_steps.config.generators.kernel_density import KernelDensityConfig
from dwf_steps.config.generators.velocity import VelocityConfig
from dwf_steps.config.section import Section, planning

if TYPE_CHECKING:
    from dwf_steps.config.workflow import WorkflowConfig


class AutoencoderNoise(Section):
    """Noise added while the autoencoder is fitted, drawn in every step (p-diff's augmentation)."""

    input: NotNegative = 0.1
    """Standard deviation of the noise on the encoder's input, relative to that of the networks. The
    reconstruction is compared with the networks without noise."""
    latent: NotNegative = 0.1
    """Standard deviation of the noise on codes before they are decoded, relative to that of the codes."""


class AutoencoderTraining(FlowTraining):
    """How the autoencoder is fitted (AdamW, cosine schedule, exponential moving average)."""

    batch_size: Annotated[int, Field(ge=1)] = 8
    """Training networks per step."""
    validation_networks: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training networks that is left out of the fit, as whole trajectories, at least one unless
    it is 0. The validation loss, computed without noise, is then measured on these, and the averaged weights
    with the lowest validation loss are kept. With 0 it is measured on all training networks, and the last
    weights are kept. The zoo's held-out networks are never used."""


ModelOfCodes = Annotated[
    FlowConfig | DiffusionConfig | GaussianConfig | KernelDensityConfig, Field(discriminator="kind")
]


class AutoencoderConfig(GeneratorConfig):
    """An autoencoder of networks, and a generator of its codes, which are then decoded.

    With a diffusion model of the codes these are p-diff (Wang et al. 2024, arXiv 2402.13144) and D2NWG (Soro
    et al. 2024, arXiv 2402.18153), with a flow FLoWN (Saragih et al. 2025, arXiv 2503.19371). Encoder and
    decoder are multilayer perceptrons (LayerNorm, GELU). How well they reconstruct training and held-out
    networks is measured before any network is generated; see the table `reconstruction`.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.autoencoder:Autoencoder"
    control: ClassVar[bool] = False
    accelerated: ClassVar[bool] = True
    remedies: ClassVar[Mapping[str, str]] = {
        "training": "raise latent, hidden or training.steps, or lower noise and kl",
        "held-out": "raise noise or kl, lower hidden or training.steps, or set training.validation_networks",
    }

    kind: Literal["autoencoder"]
    """Selects an autoencoder."""
    latent: Annotated[int, Field(ge=1)] = 16
    """Dimension of a code."""
    hidden: list[Annotated[int, Field(ge=1)]] = Field(default=[512])
    """Widths of the encoder's hidden layers; the decoder has them in reverse. With an empty list both are
    linear."""
    noise: AutoencoderNoise = AutoencoderNoise()
    """Noise added during the fit."""
    kl: NotNegative = 0.0
    """Weight of the KL divergence of the codes from a standard normal, which makes the autoencoder
    variational, as in D2NWG and FLoWN. It equals the variance of the decoder's Gaussian likelihood, relative
    to that of the networks. With 0 codes are deterministic."""
    training: AutoencoderTraining = AutoencoderTraining()
    """How the autoencoder is fitted."""
    model: ModelOfCodes = FlowConfig(kind="flow")
    """The generator of codes: `flow`, `diffusion`, `gaussian` or `kernel_density`, with its settings. The
    number of networks and the seed are set in the autoencoder's `sampling`."""
    sampling: Draws = Draws()
    """Number and seed of the draws."""

    @property
    def modules(self) -> tuple[str, ...]:
        return (*super().modules, *self.model.modules)

    @property
    def fitted(self) -> bool:
        return True

    @property
    def model_sampled(self) -> GeneratorConfig:
        """The generator of codes, with the number and seed of the autoencoder's draws."""
        draws = {"samples": self.sampling.samples, "seed": self.sampling.seed}
        return self.model.model_copy(update={"sampling": self.model.sampling.model_copy(update=draws)})

    @model_validator(mode="after")
    def _model_knows_codes_alone(self) -> AutoencoderConfig:
        model, refused = self.model, dict[str, bool]()
        if isinstance(model, FlowConfig):
            refused = {
                f"velocity.network: {model.velocity.network!r}": not isinstance(
                    model.velocity, VelocityConfig
                ),
                f"source: {model.source!r}": model.source != "standard",
                f"geometry: {model.geometry!r}": model.geometry != "euclidean",
                f"layers: {model.layers!r}": model.layers != "all",
                "sampling.guidance": model.sampling.guidance is not None,
                "likelihood": model.likelihood is not None,
                "other_widths": bool(model.other_widths),
            }
        if isinstance(model, DiffusionConfig):
            network = f"denoiser.network: {model.denoiser.network!r}"
            refused = {network: not isinstance(model.denoiser, VelocityConfig)}
        if found := [what for what, bad in refused.items() if bad]:
            raise ValueError(
                f"model.{found[0]} needs networks' own coordinates, but the model of an autoencoder is "
                "fitted to codes; leave it out"
            )
        for name, field in Draws.model_fields.items():
            if (value := getattr(model.sampling, name)) != field.default:
                raise ValueError(
                    f"model.sampling.{name}: found {value}, but a code is drawn for each network that the "
                    f"autoencoder's own sampling asks for; set sampling.{name} instead"
                )
        return self

    def as_fitted(self) -> Self:
        """Return the settings that affect the fit: none of the generator of codes if it has no model."""
        model: Any = self.model
        fitted = model.as_fitted() if model.fitted else type(model)(kind=model.kind)
        return super().as_fitted().model_copy(update={"model": fitted})

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        yield from self.training.problems_with_zoo(where, zoo, context)
        yield from self.model.problems_with_zoo(f"{where}.model", zoo, context)

    @planning
    def problems_with_subspace(self, where: str, subspace: str, config: WorkflowConfig) -> Iterator[str]:
        yield from self.model.problems_with_subspace(f"{where}.model", subspace, config)

    @planning
    def weights_used(self, sizes: Sizes) -> float:
        """Return the number of multiplications to encode and decode a network."""
        widths = [sizes.k, *self.hidden, self.latent]
        return 2.0 * sum(a * b for a, b in pairwise(widths))

    @planning
    def fit_work(self, sizes: Sizes) -> Work:
        """Return the work of fitting the autoencoder, then the generator of codes."""
        own = self.training.work(self.weights_used(sizes), sizes)
        model = self.model.fit_work(_codes(sizes, self.latent))
        return Work(own.held + model.held, own.operations + model.operations, own.steps + model.steps)

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        used, model = self.weights_used(sizes), self.model.sample_work(_codes(sizes, self.latent))
        held = 8 * used + 24 * sizes.g * sizes.k + model.held
        return Work(held, 2 * used * sizes.g + model.operations, model.steps)


class _CodeSizes:
    """The sizes of a problem whose rows are codes."""

    raw = False

    def __init__(self, sizes: Sizes, k: int) -> None:
        self._sizes, self.k = sizes, k

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sizes, name)


@planning
def _codes(sizes: Sizes, latent: int) -> Sizes:
    """Return the sizes of the problem that the generator of codes solves."""
    return cast(Sizes, _CodeSizes(sizes, latent))
