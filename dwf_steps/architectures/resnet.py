"""Residual networks for small images, built from torchvision's blocks."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dwf_steps.architectures.module import FunctionalArchitecture
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.runtime.libraries import torchvision
from dwf_steps.symmetry.spec import PermutationSpec, Rescaling, RescalingSpec

FILTER_AXES = 4  # outputs, inputs, height, width


class ResNet(nn.Module):
    """A residual network with basic blocks (He et al. 2016, arXiv 1512.03385) for small images.

    Inputs are (b, 3, height, width), such as CIFAR's. The stem is a 3x3 convolution of stride 1, without
    max-pooling. State-dict keys are those of `torchvision.models.ResNet`.

    Parameters
    ----------
    widths
        Channels of each stage; all but the first halve the image.
    blocks
        Basic blocks in each stage.
    classes
        Number of outputs.
    """

    def __init__(self, widths: list[int], blocks: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages = [f"layer{i}" for i in range(1, len(widths) + 1)]
        for i, (name, width) in enumerate(zip(self.stages, widths, strict=True)):
            self.add_module(name, _stage(widths[max(i - 1, 0)], width, blocks, 1 if i == 0 else 2))
        self.fc = nn.Linear(widths[-1], classes)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.bn1(self.conv1(inputs)))
        for name in self.stages:
            hidden = getattr(self, name)(hidden)
        logits: Tensor = self.fc(hidden.mean((2, 3)))
        return logits


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    block: Any = torchvision("models.resnet").BasicBlock
    shortcut = None
    if stride != 1 or inputs != width:
        convolution = nn.Conv2d(inputs, width, 1, stride=stride, bias=False)
        shortcut = nn.Sequential(convolution, nn.BatchNorm2d(width))
    first = block(inputs, width, stride, shortcut)
    return nn.Sequential(first, *(block(width, width) for _ in range(blocks - 1)))


class ResNetArchitecture(FunctionalArchitecture):
    """`ResNet`, such as ResNet-20 and ResNet-18, of any width."""

    config: ResNetConfig

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__(config, partial(ResNet, config.widths, config.blocks, config.classes))

    def permutation_spec(self) -> PermutationSpec:
        """Return the permutations of channels: one per stage, of its residual stream, and one per block."""
        spec: PermutationSpec = {"conv1.weight": ("stream1", None, None, None), **_norm("bn1", "stream1")}
        stream = "stream1"
        for stage in range(1, len(self.config.widths) + 1):
            for i in range(self.config.blocks):
                block = f"layer{stage}.{i}"
                before, stream = stream, f"stream{stage}"
                spec |= _convolution(f"{block}.conv1", block, before) | _norm(f"{block}.bn1", block)
                spec |= _convolution(f"{block}.conv2", stream, block) | _norm(f"{block}.bn2", stream)
                if f"{block}.downsample.0.weight" in self.shapes:
                    spec |= _convolution(f"{block}.downsample.0", stream, before)
                    spec |= _norm(f"{block}.downsample.1", stream)
        spec |= {"fc.weight": (None, stream), "fc.bias": (None,)}
        return self._with_buffers(spec)

    def rescaling_spec(self) -> RescalingSpec:
        """Return the scaling symmetries of channels.

        The normalisations' outputs can be rescaled within every block and jointly in every residual stream,
        and each filter can be rescaled because the normalisation after it cancels its scale.
        """
        channels: dict[str, Rescaling] = {}
        filters = []
        for name, axes in self.permutation_spec().items():
            if name in self.buffers:
                continue
            reads = axes[1] if len(axes) > 1 else None
            if len(axes) == 1 and isinstance(axes[0], str):
                known = channels.setdefault(axes[0], Rescaling(()))
                channels[axes[0]] = replace(known, incoming=(*known.incoming, name))
            if isinstance(reads, str):
                known = channels.setdefault(reads, Rescaling(()))
                channels[reads] = replace(known, outgoing=(*known.outgoing, name))
            if len(axes) == FILTER_AXES:
                norm = name.removesuffix(".weight").replace("conv", "bn").replace("sample.0", "sample.1")
                statistics = (f"{norm}.running_mean", f"{norm}.running_var")
                filters.append(Rescaling((name,), statistics=statistics))
        return [*channels.values(), *filters]


def _convolution(name: str, outputs: str, inputs: str) -> PermutationSpec:
    return {f"{name}.weight": (outputs, inputs, None, None)}


def _norm(name: str, channels: str) -> PermutationSpec:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}
