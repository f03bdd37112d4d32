"""Denoising and variational autoencoders of networks' latents, and their losses."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from dwf_steps.config.generators.autoencoder import AutoencoderConfig
from dwf_steps.flow.fitting import Paths


class EncoderDecoder(nn.Module):
    """Two multilayer perceptrons: an encoder of latents (b, k) into codes (b, c), and a decoder.

    In training mode the codes are perturbed before they are decoded: with noise whose standard deviation is
    relative to that of the batch's codes, so that scaling up the codes does not evade it, and, in a
    variational autoencoder, with noise of the variance that the encoder predicts.

    Parameters
    ----------
    dimension
        k, the number of latents.
    config
        Length of the codes, hidden layers, noise, and whether the autoencoder is variational.
    """

    def __init__(self, dimension: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.latent, self.noise, self.variational = config.latent, config.noise.latent, config.kl > 0
        codes = config.latent * (2 if self.variational else 1)
        self.encoder = _perceptron([dimension, *config.hidden, codes])
        self.decoder = _perceptron([config.latent, *config.hidden[::-1], dimension])

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (b, c) of latents (b, k); the posterior's means in a variational autoencoder."""
        codes: Tensor = self.encoder(x)
        return codes[:, : self.latent]

    def decode(self, codes: Tensor) -> Tensor:
        """Return the latents (b, k) of codes (b, c)."""
        latents: Tensor = self.decoder(codes)
        return latents

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode and decode latents.

        Returns
        -------
        The reconstructed latents (b, k), and the Kullback-Leibler divergence of each posterior from a
        standard normal distribution, (b,), in nats (Kingma & Welling 2014, arXiv 1312.6114, appendix B);
        zeros if the autoencoder is not variational.
        """
        encoded: Tensor = self.encoder(x)
        codes, log_variance = encoded[:, : self.latent], encoded[:, self.latent :]
        divergence = torch.zeros(len(x)).to(x)
        if self.variational:
            divergence = (codes.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
        if self.training and self.variational:
            codes = codes + (log_variance / 2).exp() * torch.randn_like(codes)
        if self.training and self.noise:
            spread = (codes - codes.mean(dim=0)).detach().square().mean().sqrt()
            codes = codes + self.noise * spread * torch.randn_like(codes)
        return self.decode(codes), divergence


def _perceptron(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.LayerNorm(fan_out), nn.GELU()]
    return nn.Sequential(*layers[:-2])


@dataclass(frozen=True)
class Noisy:
    """Latents with noise, ``x``, and without, ``x1``, each (b, k)."""

    x: Tensor
    x1: Tensor


@dataclass(frozen=True)
class Reconstructions(Paths[Noisy]):
    """Latents and noisy copies of them, the inputs of a denoising autoencoder.

    The noise has standard deviation ``config.noise.input`` (Vincent et al. 2008; p-diff, arXiv 2402.13144,
    section 3.2). Validation uses all validation latents, without noise.
    """

    config: AutoencoderConfig

    def draw(self, size: int, generator: torch.Generator, validating: bool = False) -> Noisy:
        if validating:
            x1 = self.targets[self.validated.to(self.targets.device)]
            return Noisy(x1, x1)
        rows = self.fitted[torch.randint(len(self.fitted), (size,), generator=generator)]
        x1 = self.targets[rows.to(self.targets.device)]
        noise = torch.randn(size, self.dimension, generator=generator).to(x1)
        return Noisy(x1 + self.config.noise.input * noise, x1)

    def field(self, network: nn.Module) -> "Reconstruction":
        return Reconstruction(network, self.config.kl)


@dataclass(frozen=True)
class Reconstruction:
    """The loss of an `EncoderDecoder`.

    For latents x of k coordinates, noisy inputs x + e and codes z it is

        |x - D(z)|^2 / k + 2 kl KL(q(z | x + e) || N(0, 1)) / k,

    which is the negative evidence lower bound (Kingma & Welling 2014), up to a constant, times 2 kl / k, if
    the decoder's error is normal with variance ``kl``.
    """

    network: nn.Module
    kl: float

    def loss(self, batch: Noisy) -> Tensor:
        """Return the mean loss over the batch."""
        found, divergence = self.network(batch.x)
        error = (found - batch.x1).square().mean()
        return error + 2 * self.kl * divergence.mean() / batch.x1.shape[1] if self.kl else error

    def backward(self, batch: Noisy) -> Tensor:
        """Set the network's gradients to those of the loss, and return the loss."""
        self.network.zero_grad(set_to_none=True)
        loss = self.loss(batch)
        loss.backward()
        return loss.detach()
