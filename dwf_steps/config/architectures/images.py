"""Networks for colour images."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dwf_steps.config.architectures.base import NetworkConfig, Size, TransformerConfig


class ColourImages(NetworkConfig):
    """What networks for colour images have in common."""

    image_size: Size = 32
    """Height and width of an image in pixels."""
    classes: Annotated[int, Field(ge=2)]
    """Number of outputs."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return 3, self.image_size, self.image_size

    @property
    def features(self) -> int:
        """The number of values of one input."""
        return math.prod(self.shape)

    @property
    def needed(self) -> str:
        """The settings that would have to change to fit other data, for messages."""
        return f"image_size and architecture.classes: found {self.image_size} and {self.classes}"


class ResNetConfig(ColourImages):
    """A residual network for small colour images.

    It has a 3x3 stem, no max-pooling, and torchvision's blocks and keys.
    """

    kind: Literal["resnet20", "resnet18"]
    """ResNet-20 has three stages of three blocks with 16, 32 and 64 channels; ResNet-18 has four stages of
    two blocks with 64, 128, 256 and 512 channels."""
    width_multiplier: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the number of channels in every stage."""

    @property
    def symmetries(self) -> list[str]:
        """The kinds of symmetries that it has."""
        return ["permutation_spec", "rescaling_spec"]

    @property
    def widths(self) -> list[int]:
        """The number of channels of each stage."""
        first, stages = (16, 3) if self.kind == "resnet20" else (64, 4)
        return [max(1, round(first * 2**i * self.width_multiplier)) for i in range(stages)]

    @property
    def blocks(self) -> int:
        """The number of basic blocks, of two convolutions each, per stage."""
        return 3 if self.kind == "resnet20" else 2

    @property
    def n_parameters(self) -> int:
        """The number of weights, d."""
        before, total = self.widths[0], (3 * 9 + 2) * self.widths[0]
        for stage, width in enumerate(self.widths):
            total += (9 * before + 2) * width + (2 * self.blocks - 1) * (9 * width + 2) * width
            total += (before + 2) * width * (stage > 0)
            before = width
        return total + (before + 1) * self.classes

    @property
    def multiplications(self) -> int:
        """Multiplications for one input: nine per output position, input channel and output channel."""
        before, size = self.widths[0], self.image_size
        total = 27 * before * size**2
        for stage, width in enumerate(self.widths):
            size = -(-size // 2) if stage else size
            total += (9 * before + before * (stage > 0) + 9 * width * (2 * self.blocks - 1)) * width * size**2
            before = width
        return total

    @property
    def most_units(self) -> int:
        """The number of channels that the largest permutation acts on."""
        return max(self.widths)

    @property
    def units(self) -> int:
        """The number of channels of all convolutions, including shortcuts, and of outputs."""
        first, *others = self.widths
        return first + 2 * self.blocks * first + (2 * self.blocks + 1) * sum(others) + self.classes

    @property
    def most_inputs(self) -> int:
        """The largest number of inputs of a unit."""
        return 9 * max(3, *self.widths)

    @property
    def layers(self) -> tuple[int, ...]:
        """The number of values that each layer outputs for one input."""
        values, size = [self.widths[0] * self.image_size**2], self.image_size
        for stage, width in enumerate(self.widths):
            size = -(-size // 2) if stage else size
            values += [width * size**2] * (2 * self.blocks)
        return (*values, self.classes)

    @property
    def normalised(self) -> bool:
        """Whether it has batch normalisation."""
        return True

    def joined(self, other: NetworkConfig) -> Self | None:
        """Return the ResNet with the larger width of both."""
        if not isinstance(other, ResNetConfig):
            return None
        same = {"width_multiplier": max(self.width_multiplier, other.width_multiplier)}
        joined = self.model_copy(update=same)
        return joined if joined == other.model_copy(update=same) else None


class ViTConfig(TransformerConfig, ColourImages):
    """A vision transformer for colour images, torchvision's `VisionTransformer`."""

    kind: Literal["vit"]
    """The family of networks."""
    patch_size: Size = 4
    """Height and width of a patch in pixels; divides image_size."""
    width: Size = 192
    """Width of the residual stream; a multiple of heads."""
    depth: Size = 6
    """Number of transformer layers."""
    heads: Size = 3
    """Attention heads per layer."""
    mlp: Size = 768
    """Hidden units of each layer's MLP."""

    @model_validator(mode="after")
    def _patches(self) -> "ViTConfig":
        if self.image_size % self.patch_size:
            raise ValueError(f"patch_size ({self.patch_size}) must divide image_size ({self.image_size})")
        return self

    @property
    def tokens(self) -> int:
        """The number of tokens: the patches of an image, and the class token."""
        return (self.image_size // self.patch_size) ** 2 + 1

    @property
    def n_parameters(self) -> int:
        """The number of weights, d."""
        width = self.width
        embeddings = (3 * self.patch_size**2 + 1) * width + width + self.tokens * width
        return embeddings + self.parameters_of_layers + 2 * width + (width + 1) * self.classes

    @property
    def multiplications(self) -> int:
        """Multiplications for one input: all weights for every token, and attention over all tokens."""
        return self.n_parameters * self.tokens + 2 * self.depth * self.width * self.tokens**2

    @property
    def most_units(self) -> int:
        """The number of units that the largest permutation acts on."""
        return self.mlp

    @property
    def units(self) -> int:
        """The number of units of all layers: the patch embedding's, the transformer's, and the outputs."""
        return self.width + self.units_of_layers + self.classes

    @property
    def most_inputs(self) -> int:
        """The largest number of inputs of a unit."""
        return max(self.width, self.mlp, 3 * self.patch_size**2)

    @property
    def layers(self) -> tuple[int, ...]:
        """The number of values that each layer outputs for one input."""
        values = self.outputs_of_layers(self.tokens)
        return (self.width * self.tokens, *values, self.classes)
