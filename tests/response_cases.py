"""Networks of every kind, with probes, whose responses are tested."""

import math
from typing import Any

import torch
from torch import Tensor

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.representation.capture import Capture
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks

VIT = ViTConfig(kind="vit", image_size=8, width=8, depth=2, heads=2, mlp=12, classes=3)
BERT = BertConfig(kind="bert", length=9, vocabulary=100, width=8, depth=2, heads=2, mlp=12)


def own(name: str, shape: tuple[int, ...] = (4,), **kwargs: Any) -> Architecture:
    module = name if ":" in name else f"traced_networks:{name}"
    return build(
        ModuleConfig.model_validate({"import": module, "kwargs": kwargs, "shape": shape, "classes": 3})
    )


M = 6

CASES: dict[str, tuple[Any, ...]] = {
    "MLP": (),
    "ResNet-20": (),
    "ViT": (),
    "BERT": (),
    "Convolutions": ((2, 9, 10),),
    "Normalised": ((2, 6, 6),),
    "Attending": ((5, 4),),
    "Frames": ((3, 2, 5, 5),),
    "Residual": ((4,),),
}


def architecture_of(case: str, **kwargs: Any) -> Architecture:
    built_in = {
        "MLP": MLPConfig(widths=[6, 5, 4, 3]),
        "ResNet-20": ResNetConfig(kind="resnet20", width_multiplier=0.25, image_size=8, classes=4),
        "ViT": VIT,
        "BERT": BERT,
    }
    return build(built_in[case]) if case in built_in else own(case, *CASES[case], **kwargs)


def probes_of(architecture: Architecture, m: int = M, seed: int = 0) -> Tensor:
    draws = torch_generator("probes", seed)
    if architecture.config.kind == "bert":
        tokens = torch.randint(1, 100, (m, 9), generator=draws)
        tokens[0, 5:] = 0  # padding
        return tokens.float()
    return torch.randn(m, math.prod(architecture.input_shape), generator=draws)


def networks_of(architecture: Architecture, n: int = 3) -> StackedNetworks[Tensor]:
    """Networks none of whose parameters or statistics is what it is in a new one."""
    drawn = [architecture.initial_state("default", torch_generator("test", i)) for i in range(n)]
    networks = StackedNetworks.stack(drawn, torch.stack)
    for name, values in networks.items():
        if values.is_floating_point():
            noise = torch.rand(values.shape, generator=torch_generator(name, 1))
            networks[name] = values + 0.3 * (noise if name.endswith("var") else noise - 0.5)
    return networks


def capture_of(architecture: Architecture, positions: int = 10**6, m: int = M) -> Capture:
    return Capture(architecture, probes_of(architecture, m), positions, seed=3)
