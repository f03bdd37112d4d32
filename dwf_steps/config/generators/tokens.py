"""Autoencoders of the tokens of networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dwf_steps.config.generators.base import Context, Draws, GeneratorConfig, NotNegative, Sizes, Work
from dwf_steps.config.generators.flow_training import FlowTraining
from dwf_steps.config.section import planning

if TYPE_CHECKING:
    from dwf_steps.config.workflow import WorkflowConfig


class TokensSampling(Draws):
    """How latents are drawn: from a kernel density of the training networks' latents.

    The kernels have the latents' covariance, times the square of `bandwidth`.
    """

    bandwidth: NotNegative = 0.2
    """Distance of draws from a training network's latents, in standard deviations of the latents. With 0 they
    are the latents of a training network."""
    by: Literal["token", "network", "coordinate"] = "token"
    """What is drawn jointly: the latents of each `token`, those of a whole `network`, or each `coordinate`
    separately. Parts that are drawn separately come from different training networks."""


class TokensConfig(GeneratorConfig):
    """A transformer autoencoder of a network's tokens, with a kernel density of its latents.

    SANE (Schürholt, Mahoney & Borth 2024, arXiv 2406.09997) without its contrastive loss. It needs subspace
    `none`.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.tokens:Tokens"
    control: ClassVar[bool] = False
    accelerated: ClassVar[bool] = True
    remedies: ClassVar[Mapping[str, str]] = {
        "training": "raise latent, width, depth or training.steps, or lower noise, latent_noise and hidden",
        "held-out": "raise noise, latent_noise or hidden, lower width, depth or training.steps, or set "
        "training.validation_networks",
    }

    kind: Literal["tokens"]
    """Selects an autoencoder of tokens."""
    size: Annotated[int, Field(ge=1)] = 288
    """Maximum number of coordinates per token. A token is a unit: a row of its layer's weights with its bias
    or, among responses, its coordinates. Longer units are divided into several tokens of nearly equal
    length."""
    latent: Annotated[int, Field(ge=1)] = 32
    """Number of latents per token."""
    width: Annotated[int, Field(ge=1)] = 128
    """Width of a token in the transformers; a multiple of heads."""
    depth: Annotated[int, Field(ge=0)] = 2
    """Number of blocks of the encoder, and of the decoder. With 0 there is no attention, and both are
    linear."""
    heads: Annotated[int, Field(ge=1)] = 4
    """Number of attention heads."""
    hidden: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the tokens that are hidden from the encoder in training."""
    noise: NotNegative = 0.1
    """Standard deviation of the noise on the encoder's input in training, relative to that of the layer's
    coordinates."""
    latent_noise: NotNegative = 0.1
    """Standard deviation of the noise on the decoder's input in training, relative to that of each latent."""
    training: FlowTraining = FlowTraining()
    """How the autoencoder is fitted."""
    sampling: TokensSampling = TokensSampling()
    """How latents are drawn; changing it does not repeat the fit."""

    @property
    def fitted(self) -> bool:
        return True

    @model_validator(mode="after")
    def _heads_divide_width(self) -> TokensConfig:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        yield from self.training.problems_with_zoo(where, zoo, context)

    @planning
    def problems_with_subspace(self, where: str, subspace: str, config: WorkflowConfig) -> Iterator[str]:
        if config.subspaces[subspace].method != "none":
            yield (
                f"{where}.kind: 'tokens' needs whole networks, but subspace {subspace!r} reduces them; use a "
                "subspace of method 'none'"
            )

    @planning
    def _tokens(self, sizes: Sizes) -> float:
        """Return roughly how many tokens a network has; every unit has at least one."""
        return sum(sizes.layers) + sizes.k / self.size

    @planning
    def _products(self, sizes: Sizes) -> float:
        """Return the number of multiplications to encode and decode a network."""
        tokens = self._tokens(sizes)
        blocks = 2 * self.depth * self.width * (12 * self.width + 2 * tokens)
        return tokens * (blocks + 2 * self.width * (self.size + self.latent))

    @planning
    def _held(self, sizes: Sizes, networks: int) -> float:
        """Return the memory of the activations and rows of some networks, in bytes."""
        return 4 * networks * (self._tokens(sizes) * self.width * (2 + 24 * self.depth) + 4 * sizes.k)

    @planning
    def fit_work(self, sizes: Sizes) -> Work:
        """Return the work of fitting encoder and decoder, with their averages, gradients and moments."""
        training, weights = self.training, 24 * self.depth * self.width**2 + self.width * sum(sizes.layers)
        held = 28 * weights + 40 * sizes.n * sizes.k + self._held(sizes, training.batch_size)
        return Work(held, training.steps * 6 * training.batch_size * self._products(sizes), training.steps)

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        """Return the work of drawing latents, given those of the training networks, and of decoding."""
        latents = self._tokens(sizes) * self.latent
        drawn = {"token": self._tokens(sizes), "network": 1, "coordinate": latents}[self.sampling.by]
        held = 16 * (sizes.n + sizes.g) * latents + self._held(sizes, sizes.g) + 16 * sizes.g * sizes.k
        return Work(held, sizes.g * (self._products(sizes) + 2 * sizes.n * (latents + drawn)))
