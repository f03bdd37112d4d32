"""The generator `tokens`: an autoencoder of tokens."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dwf_steps.config.generators.tokens import TokensConfig, TokensSampling
from dwf_steps.flow.fitting import fit_network
from dwf_steps.flow.tokens import HiddenTokens, TokenAutoencoder, TokenSequence
from dwf_steps.generators.base import ReconstructingGenerator, Tools, TrainingNetworks
from dwf_steps.generators.flow import left_out_networks
from dwf_steps.generators.layers import by_layer, by_unit
from dwf_steps.generators.mixtures import kernel_mixing
from dwf_steps.generators.samples import Samples

logger = logging.getLogger(__name__)

NETWORK = "network."  # prefix of the autoencoder's weights in the model's file


class Tokens(ReconstructingGenerator[TokensConfig]):
    """Fits an autoencoder to the training networks' tokens, and decodes draws of their latents.

    Latents are drawn from a kernel density estimate. The autoencoder processes coordinates relative to their
    mean over networks, in units of their layer's standard deviation.

    Attributes
    ----------
    sequence
        The tokens.
    network
        The autoencoder.
    scale
        Standard deviation of each coordinate's layer, (d,).
    latents
        The training networks' latents, (n, T, latent).
    """

    sequence: TokenSequence
    network: TokenAutoencoder
    scale: np.ndarray
    latents: np.ndarray

    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:
        config, layers, units = self.config, by_layer(training.layout), by_unit(training.layout)
        rows = training.basis.whole_networks(training.matrix).astype(np.float64)
        self.scale = layer_deviations(rows, layers)
        rows -= rows.mean(axis=0)
        self.sequence = TokenSequence.of(layers, units, config.size)
        targets = torch.from_numpy((rows / self.scale).astype(np.float32)).to(tools.device)
        left_out = left_out_networks(training.trajectories, config.training, self.key)
        paths = HiddenTokens(targets, left_out, self.sequence, config.hidden, config.noise)
        build = partial(TokenAutoencoder, self.sequence, config)
        fit = fit_network(build, paths, config.training, tools.device, tools.checkpoint)
        assert isinstance(fit.velocity, TokenAutoencoder)
        self.network = fit.velocity
        self.latents = self.encoded(rows)
        kept = fit.losses.kept.idxmax() if "kept" in fit.losses else fit.losses.index[-1]
        seen = {"reconstruction": paths.fitted}
        if left_out is not None:
            seen["reconstruction_left_out"] = paths.validated
        for name, chosen in seen.items():
            some = rows[chosen.numpy()]
            error = float(np.linalg.norm(self.reconstructed(some) - some) / np.linalg.norm(some))
            fit.losses.loc[kept, name] = error
            logger.info("%s: a relative error of %.3f over %d networks", name, error, len(chosen))
        return fit.losses

    def state(self) -> dict[str, np.ndarray]:
        weights = {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}
        return {
            **{f"{NETWORK}{name}": value for name, value in weights.items()},
            **{"columns": self.sequence.columns, "positions": self.sequence.positions},
            **{"scale": self.scale, "latents": self.latents},
        }

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.scale, self.latents = state["scale"], state["latents"]
        self.sequence = TokenSequence(state["columns"], state["positions"], len(self.scale))
        self.network = TokenAutoencoder(self.sequence, self.config)
        weights = {name: value for name, value in state.items() if name.startswith(NETWORK)}
        self.network.load_state_dict(
            {name.removeprefix(NETWORK): torch.from_numpy(value) for name, value in weights.items()}
        )

    def load(self, path: Path, tools: Tools) -> None:
        super().load(path, tools)
        self.network.to(tools.device).eval()

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        latents = draw_latents(self.latents, self.config.sampling, self.draws())
        return training.samples_at(self.decoded(latents), evaluations=1)

    def encoded(self, rows: np.ndarray) -> np.ndarray:
        """Return the latents (s, T, latent) float32 of rows (s, d) relative to the training mean."""
        return self._in_chunks(self.network.encode, rows / self.scale)

    def decoded(self, latents: np.ndarray) -> np.ndarray:
        """Return the rows (s, d), relative to the training mean, of latents (s, T, latent)."""
        return self._in_chunks(self.network.decode, latents) * self.scale

    def reconstructed(self, coordinates: np.ndarray) -> np.ndarray:
        return self.decoded(self.encoded(coordinates))

    @torch.no_grad()
    def _in_chunks(self, function: Callable[[Tensor], Tensor], values: np.ndarray) -> np.ndarray:
        device, size = next(self.network.parameters()).device, self.network.chunk_size
        parts = torch.from_numpy(values.astype(np.float32)).split(size)
        return torch.cat([function(some.to(device)).cpu() for some in parts]).numpy()


def layer_deviations(rows: np.ndarray, layers: np.ndarray) -> np.ndarray:
    """Compute the standard deviation of each column's layer.

    It is the root of the mean of the layer's columns' variances; 1 where it is below float32's resolution
    relative to the values.

    Parameters
    ----------
    rows
        (n, d).
    layers
        The index of each column's layer, (d,).

    Returns
    -------
    The standard deviations, (d,).
    """
    largest = np.zeros(layers.max() + 1)
    np.maximum.at(largest, layers, np.abs(rows).max(axis=0))
    deviations = np.sqrt(np.bincount(layers, rows.var(axis=0)) / np.bincount(layers))
    varying = deviations > np.finfo(np.float32).eps * largest
    scales: np.ndarray = np.where(varying, deviations, 1.0)[layers]
    return scales


def draw_latents(latents: np.ndarray, sampling: TokensSampling, draws: np.random.Generator) -> np.ndarray:
    """Draw from a kernel density estimate of latents.

    Parts of the latents are drawn independently.

    Parameters
    ----------
    latents
        The training networks' latents, (n, T, k).
    sampling
        Number of samples s, bandwidth, and whether a part is a network, a token or a coordinate (``by``).
    draws
        Source of the random numbers.

    Returns
    -------
    The draws, (s, T, k) float64.
    """
    n, tokens, k = latents.shape
    flat, samples = latents.reshape(n, -1).astype(np.float64), sampling.samples
    mean = flat.mean(axis=0)
    together = {"token": k, "network": tokens * k, "coordinate": 1}[sampling.by]
    parts = [
        mean[start : start + together]
        + kernel_mixing(n, samples, sampling.bandwidth, draws) @ (flat - mean)[:, start : start + together]
        for start in range(0, tokens * k, together)
    ]
    return np.concatenate(parts, axis=1).reshape(samples, tokens, k)
