"""The velocity field as a transformer on a network's graph: units are nodes, weights are edges."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from dwf_steps.config.generators.velocity import RelationalTransformerConfig
from dwf_steps.flow.graph import Layer, NetworkSpec
from dwf_steps.flow.velocity import Embedding, TimeEmbedding
from dwf_steps.runtime.errors import InputError

EDGES_BYTES = 2**24  # of edge features, in networks that are processed at a time
KINDS = 3  # of layers and units: the first, hidden ones, the last


class RelationalTransformer(nn.Module):
    """v(t, x) for the weights x of a multilayer perceptron.

    A relational transformer (Diao & Loynd 2023, arXiv 2210.05062; applied to weights by Erdogan 2025, arXiv
    2504.03710): nodes attend to each other along edges, whose features enter keys and values, and edges are
    updated from their two nodes. Edges exist only where there are weights, between consecutive layers, so
    memory and time are linear in the number of weights. Attention applies no matrix to single edges: the
    key's matrix is applied to the node's query, and the value's matrix after averaging.

    The field is equivariant to permutations of hidden units and independent of hidden widths; the units of
    the input and the output have learned features. A skip connection multiplies each weight and bias by a
    factor that depends on t and the layer's kind. The output is zero at initialisation.

    Parameters
    ----------
    layers
        Columns of each layer's weights and biases in a row.
    config
        Width, depth, heads, time embedding.
    embedding
        Builds the embedding of times, or of times and conditions.

    Attributes
    ----------
    chunk_size
        Number of networks that are processed at a time; more would be no faster and take more memory.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        config: RelationalTransformerConfig,
        embedding: Embedding = TimeEmbedding,
    ) -> None:
        super().__init__()
        width = config.width
        self.embedding = embedding
        self.config, self.layers = config, list(layers)
        edges = sum(layer.inputs * layer.outputs for layer in layers)
        self.chunk_size = max(1, EDGES_BYTES // (4 * width * edges))
        self.time = embedding(config.time_embedding)
        self.weight_in, self.bias_in = nn.Linear(1, width), nn.Linear(1, width)
        self.inputs = nn.Parameter(torch.randn(layers[0].inputs, width) / 2)
        self.outputs = nn.Parameter(torch.randn(layers[-1].outputs, width) / 2)
        self.edge_kinds = nn.Parameter(torch.randn(KINDS, width) / 2)
        self.node_kinds = nn.Parameter(torch.randn(KINDS, width) / 2)
        self.blocks = nn.ModuleList(
            _Block(width, config.heads, config.time_embedding) for _ in range(config.depth)
        )
        self.edge_norm, self.node_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.weight_out, self.bias_out = nn.Linear(width, 1), nn.Linear(width, 1)
        self.passed = nn.Linear(config.time_embedding, 2 * KINDS)
        for layer in (self.weight_out, self.bias_out, self.passed):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def resized_to(self, network: NetworkSpec) -> "RelationalTransformer":
        """Return the same velocity field for networks of other widths.

        Raises
        ------
        InputError
            If they have a different number of inputs or outputs, or a hidden layer where the flow has none.
        """
        layers = network.layers()
        own, other = ((some[0].inputs, some[-1].outputs) for some in (self.layers, layers))
        if own != other or len(layers) < 2:
            raise InputError(
                f"networks of {other[0]} inputs and {other[1]} outputs do not fit a flow over ones of "
                f"{own[0]} and {own[1]}; only hidden widths may differ"
            )
        if min(len(layers), KINDS) > len(self.layers):
            raise InputError(
                f"a flow over networks of {len(self.layers)} layers has no hidden layer that follows "
                f"another one; found {len(layers)} layers"
            )
        resized = RelationalTransformer(layers, self.config, self.embedding).to(self.inputs.device)
        resized.load_state_dict(self.state_dict())
        return resized.eval()

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """Return velocities (b, d).

        Parameters
        ----------
        t
            Times (b, 1), or times and conditions (b, 2).
        x
            Points, (b, d).
        """
        if not torch.is_grad_enabled() and len(x) > self.chunk_size:
            parts = zip(t.split(self.chunk_size), x.split(self.chunk_size), strict=True)
            return torch.cat([self(time, some) for time, some in parts])
        time = self.time(t)
        weights = [x[:, layer.weight].unflatten(1, (layer.outputs, layer.inputs)) for layer in self.layers]
        biases = [x[:, layer.bias] for layer in self.layers]
        kinds = [_kind(i, len(self.layers)) for i in range(len(self.layers))]
        edges = [
            self.weight_in(weight.unsqueeze(-1)) + self.edge_kinds[kind]
            for weight, kind in zip(weights, kinds, strict=True)
        ]
        nodes = [(self.inputs + self.node_kinds[0]).expand(len(x), -1, -1)]
        nodes += [self.bias_in(bias.unsqueeze(-1)) + self.node_kinds[1] for bias in biases[:-1]]
        nodes.append(self.bias_in(biases[-1].unsqueeze(-1)) + self.outputs + self.node_kinds[2])
        for block in self.blocks:
            nodes, edges = block(nodes, edges, time)
        factors = self.passed(time)
        result = torch.empty_like(x)
        for i, (layer, kind) in enumerate(zip(self.layers, kinds, strict=True)):
            outputs = self.weight_out(self.edge_norm(edges[i])).flatten(1)
            result[:, layer.weight] = outputs + factors[:, kind, None] * x[:, layer.weight]
            outputs = self.bias_out(self.node_norm(nodes[i + 1])).flatten(1)
            result[:, layer.bias] = outputs + factors[:, KINDS + kind, None] * biases[i]
        return result


def _kind(layer: int, count: int) -> int:
    return 2 if layer == count - 1 else min(layer, 1)


class _Block(nn.Module):
    """Attention along edges, in both directions, then updates of nodes, and of edges from their two nodes.

    The time's features scale and shift the inputs.
    """

    def __init__(self, width: int, heads: int, time: int) -> None:
        super().__init__()
        self.node_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.edge_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.forward_attention, self.backward_attention = _Attention(width, heads), _Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.edge_own, self.edge_end = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.edge_start, self.edge_out = nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.modulation = nn.Linear(time, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self, nodes: list[Tensor], edges: list[Tensor], time: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        scale, shift, mlp_scale, mlp_shift, edge_scale, edge_shift = (
            self.modulation(time).unsqueeze(1).chunk(6, dim=-1)
        )
        seen = [self.node_norm(node) * (1 + scale) + shift for node in nodes]
        known = [
            self.edge_norm(edge) * (1 + edge_scale.unsqueeze(1)) + edge_shift.unsqueeze(1) for edge in edges
        ]
        heard = [torch.zeros_like(node) for node in nodes]
        for i, edge in enumerate(known):
            heard[i + 1] = heard[i + 1] + self.forward_attention(seen[i + 1], seen[i], edge)
            heard[i] = heard[i] + self.backward_attention(seen[i], seen[i + 1], edge.transpose(1, 2))
        nodes = [node + message for node, message in zip(nodes, heard, strict=True)]
        nodes = [node + self.mlp(self.mlp_norm(node) * (1 + mlp_scale) + mlp_shift) for node in nodes]
        updated = []
        for edge, own, (start, end) in zip(edges, known, pairwise(nodes), strict=True):
            hidden = (
                self.edge_own(own) + self.edge_end(end).unsqueeze(2) + self.edge_start(start).unsqueeze(1)
            )
            updated.append(edge + self.edge_out(nn.functional.gelu(hidden)))
        return nodes, updated


class _Attention(nn.Module):
    """Attention from the nodes of one layer to those of a neighbouring layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.edge_key = nn.Parameter(torch.randn(heads, self.size, width) / width**0.5)
        self.edge_value = nn.Parameter(torch.randn(heads, self.size, width) / width**0.5)
        self.out = nn.Linear(width, width)

    def forward(self, to: Tensor, source: Tensor, edges: Tensor) -> Tensor:
        """Return messages (b, m, width).

        Parameters
        ----------
        to
            Nodes that receive messages, (b, m, width).
        source
            Nodes that send them, (b, n, width).
        edges
            Edges between them, (b, m, n, width).
        """
        queries = self.query(to).unflatten(-1, (self.heads, self.size))
        keys = self.key(source).unflatten(-1, (self.heads, self.size))
        values = self.value(source).unflatten(-1, (self.heads, self.size))
        along = torch.einsum("bmhs,hsw->bmhw", queries, self.edge_key)
        scores = torch.einsum("bmhs,bnhs->bmhn", queries, keys) + along @ edges.transpose(2, 3)
        weights = (scores / self.size**0.5).softmax(-1)
        mean_edges = torch.einsum("bmhw,hsw->bmhs", weights @ edges, self.edge_value)
        return self.out((torch.einsum("bmhn,bnhs->bmhs", weights, values) + mean_edges).flatten(2))
