"""Facts of networks before any is trained: by formulas, or of the user's own module as it is built."""

from pathlib import Path

import own_networks
import pytest

from dwf_steps.architectures import build
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.representation import ResponsesRepresentation, WeightsRepresentation
from dwf_steps.pipeline.network_facts import coordinates, network_facts
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime.errors import InputError


def module(name: str, **more: object) -> ModuleConfig:
    described = {"import": f"own_networks:{name}", "shape": [3, 4, 4], "classes": 3}
    return ModuleConfig.model_validate(described | more)


def test_a_perceptrons_facts_are_its_formulas() -> None:
    facts = network_facts(MLPConfig(widths=[4, 6, 5, 3]))
    assert facts.n_parameters == facts.multiplications == 5 * 6 + 7 * 5 + 6 * 3
    assert (facts.most_units, facts.layers) == (6, (6, 5, 3))
    assert facts.symmetries == ("permutation_spec", "rescaling_spec")
    assert not facts.normalised and facts.source_file is None
    assert network_facts(MLPConfig(widths=[4, 3], activation="tanh")).symmetries == ("permutation_spec",)


def test_facts_of_a_module_are_those_of_its_layers() -> None:
    facts = network_facts(module("SmallCNN", kwargs={"channels": 5}))
    assert facts.n_parameters == build(module("SmallCNN", kwargs={"channels": 5})).layout.size
    assert max(facts.layers) == 5 * 4 * 4
    assert facts.most_units == 5
    assert facts.source_file == Path(own_networks.__file__)


BUILT = (
    MLPConfig(widths=[4, 6, 5, 3]),
    ResNetConfig(kind="resnet20", image_size=8, width_multiplier=0.25, classes=3),
    ResNetConfig(kind="resnet18", image_size=8, width_multiplier=0.125, classes=3),
    ViTConfig(kind="vit", image_size=8, patch_size=4, width=12, depth=2, heads=3, mlp=20, classes=3),
    BertConfig(kind="bert", length=6, vocabulary=100, width=8, depth=2, heads=2, mlp=12, classes=3),
    module("SmallCNN"),
    module("deep_batch_norm", shape=[3, 5, 5]),
)


@pytest.mark.parametrize("config", BUILT, ids=lambda config: config.called)
def test_units_and_inputs_are_those_of_the_traced_layers(config: ArchitectureConfig) -> None:
    facts, layers = network_facts(config), trace(build(config)).layers
    assert facts.units == sum(layer.units for layer in layers)
    assert facts.most_inputs == max(layer.fan_in for layer in layers)


def test_coordinates_are_weights_or_at_most_so_many_for_every_unit() -> None:
    facts = network_facts(MLPConfig(widths=[4, 6, 5, 3]))
    assert coordinates(facts, WeightsRepresentation(kind="weights")) == 83
    responses = ResponsesRepresentation(kind="responses", probes=20, functions=7)
    assert 83 + 14 * 7 == coordinates(facts, responses) >= 6 * 5 + (5 + 3) * 7


def test_batch_normalisation_is_told_of_both_kinds() -> None:
    assert network_facts(ResNetConfig(kind="resnet20", classes=3)).normalised
    assert network_facts(module("deep_batch_norm", shape=[3, 5, 5])).normalised
    assert not network_facts(module("SmallCNN")).normalised


def test_a_module_that_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match="own_networks:SmallCNN: does not take inputs of shape"):
        network_facts(module("SmallCNN", shape=[1, 4, 4]))


def test_groups_of_networks_follow_the_formula_of_a_built_in_architecture_and_the_layers_of_a_module() -> (
    None
):
    config = ResNetConfig(kind="resnet20", image_size=8, classes=3)
    assert build(config).multiplications == config.multiplications == network_facts(config).multiplications
    own = build(module("SmallCNN"))
    assert own.multiplications == network_facts(module("SmallCNN")).multiplications > 0
