"""The relational transformer: equivariant in all hidden layers, for other widths too, linear in weights."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dwf_steps.architectures import build
from dwf_steps.config.architectures.images import ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.velocity import RelationalTransformerConfig
from dwf_steps.flow.fields import Batch, VelocityField
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.relational import RelationalTransformer
from dwf_steps.flow.training import fit_velocity
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.symmetry.permutation import permute

SMALL = {"network": "relational_transformer", "width": 8, "depth": 2, "heads": 2, "time_embedding": 8}


def network_of(widths: list[int], alphabetical: bool = False) -> NetworkSpec:
    architecture = build(MLPConfig(widths=widths))
    shapes = {entry.name: entry.shape for entry in architecture.layout.entries}
    names = sorted(shapes) if alphabetical else list(shapes)
    return NetworkSpec(Layout.of({name: shapes[name] for name in names}), architecture)


def transformer(network: NetworkSpec, **settings: int) -> RelationalTransformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = RelationalTransformerConfig.model_validate(SMALL | settings)
        velocity = RelationalTransformer(network.layers(), config)
        for parameter in velocity.parameters():
            nn.init.normal_(parameter, std=0.3)
    return velocity.eval()


@pytest.mark.parametrize("widths", [[4, 6, 3], [4, 6, 5, 3], [4, 5, 5, 5, 3]])
@torch.no_grad()
def test_it_commutes_with_every_order_of_hidden_units(widths: list[int]) -> None:
    network, draws = network_of(widths), np.random.default_rng(0)
    velocity = transformer(network)
    t, x = torch.rand(3, 1), torch.from_numpy(draws.normal(size=(3, network.layout.size))).float()
    orders = {
        f"hidden.{i}": np.stack([draws.permutation(units) for _ in range(3)])
        for i, units in enumerate(widths[1:-1])
    }

    def permuted(rows: Tensor) -> Tensor:
        spec = network.architecture.permutation_spec()
        networks = permute(network.layout.unflatten(rows.numpy()), spec, orders)
        return torch.from_numpy(np.concatenate([v.reshape(3, -1) for v in networks.values()], axis=1))

    assert not torch.equal(permuted(x), x)
    torch.testing.assert_close(velocity(t, permuted(x)), permuted(velocity(t, x)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_inputs_and_outputs_are_told_apart() -> None:
    network = network_of([4, 6, 3])
    velocity, t = transformer(network), torch.full((1, 1), 0.5)
    x = torch.zeros(1, network.layout.size)
    outputs = network.layout.unflatten(velocity(t, x).numpy())
    assert np.ptp(outputs["layers.0.weight"], axis=2).min() > 1e-3  # by input
    assert np.ptp(outputs["layers.1.bias"], axis=1).min() > 1e-3  # by output
    assert np.ptp(outputs["layers.0.weight"], axis=1).max() < 1e-5  # hidden units are alike


@torch.no_grad()
def test_it_reads_any_order_of_columns_and_runs_on_other_widths() -> None:
    plain, sorted_ = network_of([4, 6, 3]), network_of([4, 6, 3], alphabetical=True)
    t, x = torch.rand(2, 1), torch.randn(2, plain.layout.size)
    columns = np.concatenate(
        [
            np.arange(entry.columns.start, entry.columns.stop)
            for name in sorted(e.name for e in plain.layout.entries)
            for entry in plain.layout.entries
            if entry.name == name
        ]
    )
    outputs = transformer(plain)(t, x)
    torch.testing.assert_close(transformer(sorted_)(t, x[:, columns]), outputs[:, columns])
    trained, wider = transformer(plain), transformer(network_of([4, 11, 7, 3]))
    wider.load_state_dict(trained.state_dict())  # nothing depends on hidden widths, or on the depth
    size = network_of([4, 11, 7, 3]).layout.size
    assert wider(t, torch.randn(2, size)).shape == (2, size)


def test_it_starts_as_nothing_and_every_parameter_gets_a_gradient() -> None:
    network = network_of([4, 6, 5, 3])
    fresh = RelationalTransformer(network.layers(), RelationalTransformerConfig.model_validate(SMALL))
    t, x = torch.rand(5, 1), torch.randn(5, network.layout.size)
    assert fresh(t, x).abs().max() == 0
    velocity = transformer(network)
    velocity(t, x).square().sum().backward()
    without = [name for name, p in velocity.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_memory_is_linear_in_the_number_of_weights() -> None:
    """What autograd keeps for the backward pass, by the number of hidden units."""

    def kept(hidden: int) -> int:
        network, total = network_of([16, hidden, 4]), 0

        def note(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        velocity = transformer(network)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            velocity(torch.rand(2, 1), torch.randn(2, network.layout.size))
        return total

    sizes = [kept(hidden) for hidden in (20, 40, 80)]
    assert (sizes[2] - sizes[1]) / (sizes[1] - sizes[0]) == pytest.approx(2, rel=0.02)


def test_networks_some_at_a_time_have_the_same_velocities_and_gradients() -> None:
    network = network_of([4, 6, 3])
    velocity, draws = transformer(network), torch.Generator().manual_seed(0)
    values = [torch.randn(7, network.layout.size, generator=draws) for _ in range(3)]
    batch = Batch(torch.rand(7, 1, generator=draws), *values)
    losses, gradients, outputs = [], [], []
    for chunk_size in (7, 3, 1):
        velocity.chunk_size = chunk_size
        velocity.zero_grad()
        losses.append(VelocityField(velocity).backward(batch))
        gradients.append([p.grad.clone() for p in velocity.parameters() if p.grad is not None])
        with torch.no_grad():
            outputs.append(velocity(batch.t, batch.x))
    for loss, own, velocities in zip(losses[1:], gradients[1:], outputs[1:], strict=True):
        torch.testing.assert_close(loss, losses[0])
        torch.testing.assert_close(own, gradients[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(velocities, outputs[0], rtol=1e-5, atol=1e-5)


def test_what_is_true_of_units_anywhere_is_learned() -> None:
    """Outgoing weights are twice the incoming ones; units are in any order."""
    network, draws = network_of([1, 4, 1]), torch.Generator().manual_seed(0)
    layers = network.layers()
    rows = torch.zeros(512, network.layout.size)
    rows[:, layers[0].weight] = torch.randn(512, 4, generator=draws)
    rows[:, layers[0].bias] = torch.randn(512, 4, generator=draws)
    rows[:, layers[1].bias] = torch.randn(512, 1, generator=draws)
    rows[:, layers[1].weight] = rows[:, layers[0].weight]
    config = FlowConfig.model_validate(
        {
            "kind": "flow",
            "velocity": SMALL | {"width": 16},
            "training": {"steps": 400, "batch_size": 64, "lr": 5e-3},
        }
    )
    flow = fit_velocity(rows, config, torch.device("cpu"), network=network)
    x = torch.randn(512, network.layout.size, generator=draws)
    with torch.no_grad():
        for step in range(50):
            x = x + flow.velocity(torch.full((512, 1), step / 50), x) / 50
    incoming, outgoing = x[:, layers[0].weight].flatten(), x[:, layers[1].weight].flatten()
    assert torch.corrcoef(torch.stack([incoming, outgoing]))[0, 1] > 0.9
    assert 0.8 < incoming.std() < 1.2


def test_other_networks_have_no_such_graph() -> None:
    architecture = build(ViTConfig(kind="vit", image_size=8, width=8, depth=1, heads=2, mlp=8, classes=3))
    with pytest.raises(InputError, match="the graph of vit is not known"):
        NetworkSpec(architecture.layout, architecture).layers()
    with pytest.raises(ValueError, match=r"width \(6\) must be a multiple of heads \(4\)"):
        RelationalTransformerConfig(network="relational_transformer", width=6, heads=4)
