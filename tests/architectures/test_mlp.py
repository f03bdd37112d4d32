"""Many multilayer perceptrons at once behave as each of them alone."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from dwf_steps.architectures import build
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architectures.base import Activation, Initialisation
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.spec import Rescaling

WIDTHS = [[4, 3], [3, 5, 2], [6, 8, 4, 3], [2, 1, 7, 1, 2]]
INITIALISATIONS: list[Initialisation] = ["default", "he", "xavier", "uniform", "normal"]


def architecture_of(widths: list[int], activation: Activation = "relu") -> MLPArchitecture:
    return build(MLPConfig(widths=widths, activation=activation))


def random_networks(architecture: MLPArchitecture, n: int, seed: int = 0) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return StackedNetworks(
        {
            e.name: torch.randn(n, *e.shape, generator=draws, dtype=torch.float64)
            for e in architecture.layout.entries
        }
    )


def outputs_one_by_one(
    architecture: MLPArchitecture, networks: dict[str, Tensor], inputs: list[Tensor]
) -> Tensor:
    outputs = []
    for i, own_inputs in enumerate(inputs):
        module = architecture.module().double()
        module.load_state_dict(networks.network(i))
        outputs.append(module(own_inputs))
    return torch.stack(outputs).detach()


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_shared_inputs_give_every_networks_own_outputs(widths: list[int], activation: Activation) -> None:
    architecture = architecture_of(widths, activation)
    networks = random_networks(architecture, n=5)
    inputs = torch.randn(7, widths[0], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = outputs_one_by_one(architecture, networks, [inputs] * 5)
    assert expected.shape == (5, 7, widths[-1])
    torch.testing.assert_close(architecture.forward(networks, inputs), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_inputs_of_its_own_give_every_networks_own_outputs(widths: list[int], activation: Activation) -> None:
    architecture = architecture_of(widths, activation)
    networks = random_networks(architecture, n=5)
    inputs = torch.randn(5, 7, widths[0], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = outputs_one_by_one(architecture, networks, list(inputs))
    torch.testing.assert_close(architecture.forward(networks, inputs), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_module_computes_the_textbook_formula(activation: Activation) -> None:
    architecture = architecture_of([3, 5, 4, 2], activation)
    state = random_networks(architecture, n=1).network(0)
    module = architecture.module().double()
    module.load_state_dict(state)
    inputs = np.random.default_rng(2).normal(size=(6, 3))
    functions: dict[Activation, Callable[[np.ndarray], np.ndarray]] = {
        "relu": lambda x: np.maximum(x, 0),
        "gelu": lambda x: x * stats.norm.cdf(x),
        "tanh": np.tanh,
    }
    hidden = inputs
    for i in range(3):
        hidden = hidden @ state[f"layers.{i}.weight"].numpy().T + state[f"layers.{i}.bias"].numpy()
        hidden = functions[activation](hidden) if i < 2 else hidden
    found = module(torch.from_numpy(inputs)).detach().numpy()
    np.testing.assert_allclose(found, hidden, rtol=1e-10, atol=1e-12)


def test_module_flattens_images() -> None:
    module = architecture_of([6, 4, 3]).module()
    images = torch.randn(5, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(module(images), module(images.reshape(5, 6)))


def test_one_networks_nan_stays_in_that_network() -> None:
    architecture = architecture_of([3, 4, 2])
    networks = random_networks(architecture, n=3)
    networks["layers.0.weight"][1] = torch.nan
    outputs = architecture.forward(networks, torch.ones(5, 3, dtype=torch.float64))
    assert outputs[1].isnan().all()
    assert outputs[[0, 2]].isfinite().all()


@pytest.mark.parametrize("widths", WIDTHS)
def test_layout_has_as_many_weights_as_the_configuration_counts(widths: list[int]) -> None:
    architecture = architecture_of(widths)
    assert architecture.layout.size == architecture.config.n_parameters
    assert architecture.layout.size == sum(p.numel() for p in architecture.module().parameters())


@pytest.mark.parametrize("widths", WIDTHS)
def test_layout_is_the_state_dict(widths: list[int]) -> None:
    architecture = architecture_of(widths)
    state = architecture.module().state_dict()
    assert [e.name for e in architecture.layout.entries] == list(state)
    assert [e.shape for e in architecture.layout.entries] == [tuple(v.shape) for v in state.values()]


@pytest.mark.parametrize(
    ("initialisation", "distribution"),
    [
        ("default", stats.uniform(-(200**-0.5), 2 * 200**-0.5)),
        ("he", stats.uniform(-((6 / 200) ** 0.5), 2 * (6 / 200) ** 0.5)),
        ("xavier", stats.norm(0, (2 / (200 + 300)) ** 0.5)),
        ("uniform", stats.uniform(-0.1, 0.2)),
        ("normal", stats.norm(0, 0.1)),
    ],
)
def test_initial_weights_follow_their_closed_form(
    initialisation: Initialisation, distribution: stats.rv_continuous
) -> None:
    draws = torch.Generator().manual_seed(3)
    networks = architecture_of([200, 300, 5]).initial_state(initialisation, draws)
    weights = networks["layers.0.weight"].double().numpy().ravel()
    assert stats.kstest(weights, distribution.cdf).pvalue > 1e-3
    assert weights.std() == pytest.approx(distribution.std(), rel=0.02)
    low, high = distribution.support()
    assert low * (1 + 1e-6) <= weights.min() <= weights.max() <= high * (1 + 1e-6)


@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_only_the_default_initialisation_has_biases(initialisation: Initialisation) -> None:
    draws = torch.Generator().manual_seed(4)
    networks = architecture_of([100, 2000, 5]).initial_state(initialisation, draws)
    biases = networks["layers.0.bias"].double().numpy()
    if initialisation == "default":
        assert stats.kstest(biases, stats.uniform(-0.1, 0.2).cdf).pvalue > 1e-3
    else:
        assert not biases.any()
        assert not networks["layers.1.bias"].any()


def test_the_default_initialisation_is_pytorchs_own() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = architecture_of([50, 400, 20]).module().state_dict()
    own = architecture_of([50, 400, 20]).initial_state("default", torch.Generator().manual_seed(5))
    for name, value in theirs.items():
        if value.numel() > 100:
            assert stats.ks_2samp(own[name].flatten().numpy(), value.flatten().numpy()).pvalue > 1e-3


def test_the_five_initialisations_differ_in_distribution() -> None:
    architecture = architecture_of([200, 300, 5])
    weights = [
        architecture.initial_state(kind, torch.Generator().manual_seed(6))["layers.0.weight"].numpy()
        for kind in INITIALISATIONS
    ]
    for i, first in enumerate(weights):
        for second in weights[i + 1 :]:
            assert stats.ks_2samp(first.ravel(), second.ravel()).pvalue < 1e-6


@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_initial_weights_depend_on_their_generator_alone(initialisation: Initialisation) -> None:
    architecture = architecture_of([4, 6, 3])
    first, again, other = (
        architecture.initial_state(initialisation, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])


def test_the_permutation_spec_names_each_hidden_layers_axes() -> None:
    assert architecture_of([4, 5, 6, 3]).permutation_spec() == {
        "layers.0.weight": ("hidden.0", None),
        "layers.0.bias": ("hidden.0",),
        "layers.1.weight": ("hidden.1", "hidden.0"),
        "layers.1.bias": ("hidden.1",),
        "layers.2.weight": (None, "hidden.1"),
        "layers.2.bias": (None,),
    }


def test_the_rescaling_spec_names_what_comes_in_and_what_goes_out() -> None:
    assert architecture_of([4, 5, 6, 3]).rescaling_spec() == [
        Rescaling(("layers.0.weight", "layers.0.bias"), ("layers.1.weight",)),
        Rescaling(("layers.1.weight", "layers.1.bias"), ("layers.2.weight",)),
    ]


@pytest.mark.parametrize("activation", ["gelu", "tanh"])
def test_only_relu_networks_have_a_scaling_symmetry(activation: Activation) -> None:
    with pytest.raises(ValueError, match=f"{activation} networks have no scaling symmetry"):
        architecture_of([4, 5, 3], activation).rescaling_spec()
