"""Networks as sequences of tokens, and a transformer that encodes and decodes them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dwf_steps.config.generators.tokens import TokensConfig
from dwf_steps.flow.fields import Batch, VelocityField
from dwf_steps.flow.fitting import Paths


@dataclass(frozen=True)
class TokenSequence:
    """The division of rows of d coordinates into T tokens.

    A token holds the coordinates of a unit; units with many coordinates are divided into several tokens
    (SANE; Schürholt, Mahoney & Borth 2024, arXiv 2406.09997).

    Attributes
    ----------
    columns
        Each token's columns of the row, (T, size); padded with d, which is not a column.
    positions
        Indices of the layer, of the unit within it, and of the token within the unit, (T, 3).
    dimension
        d.
    """

    columns: np.ndarray
    positions: np.ndarray
    dimension: int

    @classmethod
    def of(cls, layers: np.ndarray, units: np.ndarray, size: int) -> "TokenSequence":
        """Divide rows into tokens of at most ``size`` coordinates.

        The tokens of a unit differ in length by at most one.

        Parameters
        ----------
        layers
            Index of each column's layer, (d,).
        units
            Index of each column's unit, (d,), distinct across layers.
        size
            Largest number of coordinates in a token.
        """
        pieces, positions, seen = [], [], dict[int, int]()
        order = np.argsort(units, kind="stable")
        for columns in np.split(order, np.flatnonzero(np.diff(units[order])) + 1):
            layer = int(layers[columns[0]])
            seen[layer] = unit = seen.get(layer, -1) + 1
            for number, piece in enumerate(np.array_split(columns, -(-len(columns) // size))):
                pieces.append(piece)
                positions.append((layer, unit, number))
        padded = np.full((len(pieces), max(map(len, pieces))), len(units))
        for row, piece in zip(padded, pieces, strict=True):
            row[: len(piece)] = piece
        return cls(padded, np.array(positions), len(units))

    def gather(self, rows: Tensor) -> Tensor:
        """Return the tokens (b, T, size) of rows (b, d); padding is 0."""
        return F.pad(rows, (0, 1))[:, torch.from_numpy(self.columns).to(rows.device)]

    def scatter(self, tokens: Tensor) -> Tensor:
        """Return the rows (b, d) of tokens (b, T, size)."""
        return tokens.flatten(1)[:, torch.from_numpy(self._places).to(tokens.device)]

    @cached_property
    def _places(self) -> np.ndarray:
        """Position of each coordinate in the flattened tokens, (d,)."""
        return np.argsort(self.columns, axis=None, kind="stable")[: self.dimension]


class TokenAutoencoder(nn.Module):
    """Two transformers that encode each token of a network as latents, and decode them.

    The architecture is that of SANE (Schürholt, Mahoney & Borth 2024, arXiv 2406.09997).

    Both attend over all tokens, with weights shared between tokens, and have learned position embeddings.
    With depth 0 there is no attention, and the maps are linear.

    Parameters
    ----------
    sequence
        The tokens.
    config
        Number of latents, width, depth, heads, and the noise on latents.
    """

    chunk_size = 64
    """Number of networks that are processed at a time."""

    def __init__(self, sequence: TokenSequence, config: TokensConfig) -> None:
        super().__init__()
        self.sequence, self.latent_noise = sequence, config.latent_noise
        size, width = sequence.columns.shape[1], config.width
        self.hidden = nn.Parameter(torch.randn(width) / 2)
        self.inputs, self.latents = nn.Linear(size, width), nn.Linear(width, config.latent)
        self.from_latents, self.outputs = nn.Linear(config.latent, width), nn.Linear(width, size)
        self.encoder, self.decoder = (_Blocks(sequence.positions, config) for _ in range(2))

    def encode(self, rows: Tensor) -> Tensor:
        """Return latents (b, T, latent) of rows (b, d); tokens with a NaN are masked."""
        tokens = self.sequence.gather(rows)
        hidden = tokens.isnan().any(dim=2, keepdim=True)
        seen = torch.where(hidden, self.hidden, self.inputs(tokens.nan_to_num()))
        latents: Tensor = self.latents(self.encoder(seen))
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Return the rows (b, d) of latents (b, T, latent)."""
        return self.sequence.scatter(self.outputs(self.decoder(self.from_latents(latents))))

    def forward(self, rows: Tensor) -> Tensor:
        """Encode and decode rows (b, d).

        In training mode normal noise is added to the latents, with ``latent_noise`` times their standard
        deviation over the batch.
        """
        if not torch.is_grad_enabled() and len(rows) > self.chunk_size:
            return torch.cat([self(some) for some in rows.split(self.chunk_size)])
        latents = self.encode(rows)
        if self.training and self.latent_noise:
            std = latents.detach().std(dim=0, correction=0)
            latents = latents + self.latent_noise * std * torch.randn_like(latents)
        return self.decode(latents)


class _Blocks(nn.Module):
    """Adds position embeddings to tokens (b, T, width), and applies attention between them."""

    places: Tensor

    def __init__(self, positions: np.ndarray, config: TokensConfig) -> None:
        super().__init__()
        width = config.width
        self.register_buffer("places", torch.from_numpy(positions.T.copy()), persistent=False)
        self.positions = nn.ModuleList(nn.Embedding(count, width) for count in positions.max(axis=0) + 1)
        self.blocks = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    *(width, config.heads, 4 * width, 0.0, "gelu"), batch_first=True, norm_first=True
                )
                for _ in range(config.depth)
            )
        )

    def forward(self, tokens: Tensor) -> Tensor:
        for embedding, places in zip(self.positions, self.places, strict=True):
            tokens = tokens + embedding(places)
        mixed: Tensor = self.blocks(tokens)
        return mixed


class TokenLoss(VelocityField):
    """The reconstruction loss of an autoencoder, in the interface of a velocity field."""

    def residual(self, batch: Batch) -> Tensor:
        """Return the errors of the decoded rows, (b, d)."""
        decoded: Tensor = self.network(batch.x)
        return decoded - batch.x1


@dataclass(frozen=True)
class HiddenTokens(Paths):
    """Noisy, partly masked networks, and the networks to reconstruct from them.

    Tokens are masked as in masked autoencoders (He et al. 2022, arXiv 2111.06377), but the loss covers all
    tokens.

    Attributes
    ----------
    sequence
        The tokens.
    hidden
        Probability that a token is masked: its coordinates are NaN.
    noise
        Standard deviation of normal noise on coordinates.
    """

    sequence: TokenSequence
    hidden: float
    noise: float

    def draw(self, size: int, generator: torch.Generator, validating: bool = False) -> Batch:
        device, (tokens, width) = self.targets.device, self.sequence.columns.shape
        if validating:  # each network at most once
            size = min(size, len(self.validated))
            rows = self.validated[torch.randperm(len(self.validated), generator=generator)[:size]]
        else:
            rows = self.fitted[torch.randint(len(self.fitted), (size,), generator=generator)]
        chosen = self.targets[rows.to(device)]
        noise = torch.randn(size, self.dimension, generator=generator).to(device)
        hidden = torch.rand(size, tokens, 1, generator=generator).to(device) < self.hidden
        seen = chosen + self.noise * noise
        seen = seen.masked_fill(self.sequence.scatter(hidden.expand(-1, -1, width)), torch.nan)
        return Batch(torch.zeros(size, 1, device=device), seen, chosen, chosen)

    def field(self, network: nn.Module) -> TokenLoss:
        return TokenLoss(network)
