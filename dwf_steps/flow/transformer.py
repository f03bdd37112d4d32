"""The velocity field as a transformer whose tokens are a network's units."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dwf_steps.config.generators.velocity import UnitTransformerConfig
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.units import UnitTokens
from dwf_steps.flow.velocity import Embedding, TimeEmbedding
from dwf_steps.runtime.errors import InputError


class UnitTransformer(nn.Module):
    """v(t, x) for the weights, or response coordinates, x of a whole network, with a token per unit.

    A diffusion transformer (Peebles & Xie 2023, arXiv 2212.09748), whose layer norms are modulated by t.
    All units of a layer share one projection, so a single network provides as many examples as it has units.
    Without ``positions`` it is equivariant to permutations of the units of a single hidden layer; for
    response coordinates, to permutations of every hidden layer's units, whereas outputs have position
    embeddings. Because tokens are narrower than the units' weights, a skip connection multiplies every weight
    by a factor that depends on t and on the kind of weight (as in Karras et al. 2022, arXiv 2206.00364). The
    output is zero at initialisation.

    Parameters
    ----------
    tokens
        The weights of each unit.
    config
        Width, depth, heads, time embedding, and whether units have position embeddings.
    embedding
        Builds the embedding of times, or of times and conditions.
    """

    columns: Tensor
    places: Tensor
    placed: Tensor

    def __init__(
        self, tokens: UnitTokens, config: UnitTransformerConfig, embedding: Embedding = TimeEmbedding
    ) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.embedding = embedding
        self.shapes = tokens.shapes
        order = torch.from_numpy(_flat(tokens))
        self.register_buffer("columns", order, persistent=False)
        self.register_buffer("places", order.argsort(), persistent=False)
        self.time, self.condition = (
            embedding(config.time_embedding),
            nn.Linear(config.time_embedding, width),
        )
        self.inputs = nn.ModuleList(nn.Linear(features, width) for _, features in self.shapes)
        self.outputs = nn.ModuleList(nn.Linear(width, features) for _, features in self.shapes)
        self.passed = nn.ModuleList(nn.Linear(config.time_embedding, features) for _, features in self.shapes)
        placed = _placed(tokens, config.positions)
        self.register_buffer("placed", placed, persistent=False)
        self.positions = nn.Parameter(torch.randn(len(placed), width) / 2) if len(placed) else None
        self.blocks = nn.ModuleList(_Block(width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        for parameter in (*self.outputs.parameters(), *self.passed.parameters()):
            nn.init.zeros_(parameter)

    def resized_to(self, network: NetworkSpec) -> "UnitTransformer":
        """Return the same velocity field for networks with more or fewer hidden units.

        Raises
        ------
        InputError
            If units have position embeddings, or if their number of weights differs.
        """
        tokens = network.tokens()
        own, other = ([features for _, features in shapes] for shapes in (self.shapes, tokens.shapes))
        if self.positions is not None or own != other:
            raise InputError(
                f"a transformer over units of {own} weights, "
                f"{'with' if self.config.positions else 'without'} positions, does not apply to units of "
                f"{other}; only the width of a single hidden layer may differ, without positions"
            )
        resized = UnitTransformer(tokens, self.config, self.embedding).to(self.columns.device)
        resized.load_state_dict(self.state_dict())
        return resized.eval()

    def forward(self, t: Tensor, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Return velocities (b, d).

        Parameters
        ----------
        t
            Times (b, 1), or times and conditions (b, 2).
        x
            Points, (b, d).
        present
            Which weights each network has, (b, d) bool; None for all. Units without any are not attended to.
        """
        parts = self._by_unit(x)
        attended = None
        if present is not None:
            attended = torch.cat([part.any(dim=2) for part in self._by_unit(present)], dim=1)[:, None, None]
        hidden = torch.cat([layer(part) for layer, part in zip(self.inputs, parts, strict=True)], dim=1)
        if self.positions is not None:
            hidden = hidden.index_add(1, self.placed, self.positions.expand(len(hidden), -1, -1))
        time = self.time(t)
        condition = self.condition(time)
        for block in self.blocks:
            hidden = block(hidden, condition, attended)
        units = self.norm(hidden).split([units for units, _ in self.shapes], dim=1)
        groups = zip(self.outputs, units, self.passed, parts, strict=True)
        outputs = [layer(unit) + passed(time).unsqueeze(1) * part for layer, unit, passed, part in groups]
        return torch.cat([group.flatten(1) for group in outputs], dim=1)[:, self.places]

    def _by_unit(self, values: Tensor) -> list[Tensor]:
        """Return values (b, d) by group, each (b, units, features)."""
        sizes = [units * features for units, features in self.shapes]
        flat = values[:, self.columns].split(sizes, dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(flat, self.shapes, strict=True)]


class _Block(nn.Module):
    """Attention between units, then an MLP on each unit; t shifts, scales and gates both."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width, elementwise_affine=False)
        self.before_mlp = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor, attended: Tensor | None = None) -> Tensor:
        scale, shift, gate, mlp_scale, mlp_shift, mlp_gate = (
            self.modulation(F.silu(condition)).unsqueeze(1).chunk(6, dim=-1)
        )
        qkv = self.qkv(self.before_attention(x) * (1 + scale) + shift)
        queries, keys, values = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=attended)
        x = x + (1 + gate) * self.mixed(mixed.transpose(1, 2).flatten(2))
        return x + (1 + mlp_gate) * self.mlp(self.before_mlp(x) * (1 + mlp_scale) + mlp_shift)


def _flat(tokens: UnitTokens) -> np.ndarray:
    return np.concatenate([group.ravel() for group in tokens.groups])


def _placed(tokens: UnitTokens, positions: bool) -> Tensor:
    """Return the indices of the tokens with position embeddings."""
    known = [positions or number in tokens.placed for number in range(len(tokens.groups))]
    units = torch.tensor([units for units, _ in tokens.shapes])
    return torch.tensor(known).repeat_interleave(units).nonzero()[:, 0]
