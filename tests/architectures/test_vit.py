"""Vision transformers are torchvision's, of the sizes stated, and run many at once as one by one."""

import numpy as np
import pytest
import torch

from dwf_steps.architectures import build
from dwf_steps.config.architectures.images import ViTConfig
from dwf_steps.runtime.libraries import torchvision
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks

TINY = ViTConfig(kind="vit", image_size=8, width=8, depth=2, heads=2, mlp=12, classes=3)
SMALL = ViTConfig(kind="vit", classes=10)


@pytest.mark.parametrize("config", [TINY, SMALL, ViTConfig(kind="vit", patch_size=8, heads=4, classes=7)])
def test_sizes_are_those_of_torchvisions_network(config: ViTConfig) -> None:
    architecture = build(config)
    assert type(architecture.module()) is torchvision("models.vision_transformer").VisionTransformer
    assert config.n_parameters == architecture.layout.size
    assert config.n_parameters == sum(p.numel() for p in architecture.module().parameters())
    assert max(config.layers) >= architecture.widest


def test_the_small_one_is_the_papers() -> None:
    assert SMALL.n_parameters == pytest.approx(2.69e6, rel=0.01)


def test_many_networks_say_what_each_says_with_and_without_gradients() -> None:
    architecture = build(TINY)
    drawn = [architecture.initial_state("default", torch_generator("test", i)) for i in range(3)]
    networks = StackedNetworks.stack(drawn, torch.stack)
    networks["heads.head.weight"] = torch.randn(networks["heads.head.weight"].shape)  # torchvision's is zero
    inputs = torch.randn(5, TINY.features)
    only = architecture.forward(networks.select(slice(1)), inputs)
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            at_once = architecture.forward(networks, inputs)
        for i in range(3):
            module = architecture.module()
            module.load_state_dict(networks.network(i))
            expected = module(inputs.view(5, *TINY.shape))
            torch.testing.assert_close(at_once[i], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(only[0], at_once[0], rtol=1e-4, atol=1e-5)
    assert not np.allclose(at_once[0].numpy(), at_once[1].numpy())
