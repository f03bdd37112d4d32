"""Network architectures."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from dwf_steps.config.section import Section

Activation = Literal["relu", "gelu", "tanh"]
Initialisation = Literal["default", "he", "xavier", "uniform", "normal"]
Size = Annotated[int, Field(ge=1)]
SYMMETRIES = ("permutation_spec", "rescaling_spec", "attention_spec")


class MLPConfig(Section):
    """A multilayer perceptron."""

    kind: Literal["mlp"] = "mlp"
    """The family of networks."""
    widths: Annotated[list[Size], Field(min_length=2)]
    """Units of every layer, input and output included: `[784, 32, 32, 10]`."""
    activation: Activation = "relu"
    """The nonlinearity after every hidden layer."""

    @field_validator("widths", mode="before")
    @classmethod
    def _no_booleans(cls, value: object) -> object:
        if isinstance(value, list) and any(isinstance(width, bool) for width in value):
            raise ValueError("widths are integers, found a boolean")
        return value

    @property
    def n_parameters(self) -> int:
        """The number of weights and biases, d."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.widths))

    @property
    def multiplications(self) -> int:
        """What one input takes."""
        return self.n_parameters

    @property
    def most_units(self) -> int:
        """The units that the largest permutation acts on."""
        return max(self.widths[1:-1], default=1)

    @property
    def symmetries(self) -> list[str]:
        """Which kinds of symmetries it has: only ReLU is positively homogeneous."""
        return ["permutation_spec", *(["rescaling_spec"] if self.activation == "relu" else [])]

    @property
    def features(self) -> int:
        """The values of one input."""
        return self.widths[0]

    @property
    def classes(self) -> int:
        """The number of outputs."""
        return self.widths[-1]

    @property
    def layers(self) -> tuple[int, ...]:
        """The values that each layer says of one input."""
        return tuple(self.widths[1:])

    @property
    def normalised(self) -> bool:
        """Whether it has batch normalisation."""
        return False

    @property
    def called(self) -> str:
        """What messages call it."""
        return f"{self.activation} mlp"

    @property
    def needed(self) -> str:
        """What must be set to fit other data, for messages."""
        return f"widths: found {self.widths}"


class ColourImages(Section):
    """What networks for colour images have in common."""

    kind: str
    """The family of networks."""
    image_size: Size = 32
    """Height and width of an image."""
    classes: Annotated[int, Field(ge=2)]
    """The number of outputs."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return 3, self.image_size, self.image_size

    @property
    def features(self) -> int:
        """The values of one input."""
        return math.prod(self.shape)

    @property
    def needed(self) -> str:
        """What must be set to fit other data, for messages."""
        return f"image_size and architecture.classes: found {self.image_size} and {self.classes}"


class ResNetConfig(ColourImages):
    """A residual network for small colour images: 3x3 stem, no max-pooling, torchvision's blocks and keys."""

    kind: Literal["resnet20", "resnet18"]
    """ResNet-20: three stages of three blocks, 16-32-64 channels; ResNet-18: four of two, 64-128-256-512."""
    width_multiplier: Annotated[float, Field(gt=0)] = 1.0
    """Channels of every stage, relative to these."""

    @property
    def symmetries(self) -> list[str]:
        """Which kinds of symmetries it has."""
        return ["permutation_spec"]

    @property
    def widths(self) -> list[int]:
        """Channels of each stage."""
        first, stages = (16, 3) if self.kind == "resnet20" else (64, 4)
        return [max(1, round(first * 2**i * self.width_multiplier)) for i in range(stages)]

    @property
    def blocks(self) -> int:
        """Basic blocks, of two convolutions, in each stage."""
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
        """What one input takes: a channel of a convolution takes nine for every channel and place before."""
        before, size = self.widths[0], self.image_size
        total = 27 * before * size**2
        for stage, width in enumerate(self.widths):
            size = -(-size // 2) if stage else size
            total += (9 * before + before * (stage > 0) + 9 * width * (2 * self.blocks - 1)) * width * size**2
            before = width
        return total

    @property
    def most_units(self) -> int:
        """The channels that the largest permutation acts on."""
        return max(self.widths)

    @property
    def layers(self) -> tuple[int, ...]:
        """The values that each layer says of one input."""
        said, size = [self.widths[0] * self.image_size**2], self.image_size
        for stage, width in enumerate(self.widths):
            size = -(-size // 2) if stage else size
            said += [width * size**2] * (2 * self.blocks)
        return (*said, self.classes)

    @property
    def normalised(self) -> bool:
        """Whether it has batch normalisation."""
        return True

    @property
    def called(self) -> str:
        """What messages call it."""
        return self.kind


class ViTConfig(ColourImages):
    """A vision transformer, torchvision's `VisionTransformer`, for colour images."""

    kind: Literal["vit"]
    """The family of networks."""
    patch_size: Size = 4
    """Height and width of a patch; divides image_size."""
    width: Size = 192
    """Width of the residual stream; a multiple of heads."""
    depth: Size = 6
    """Number of transformer layers."""
    heads: Size = 3
    """Attention heads of a layer."""
    mlp: Size = 768
    """Hidden units of each layer's MLP."""

    @model_validator(mode="after")
    def _divisible(self) -> "ViTConfig":
        if self.image_size % self.patch_size:
            raise ValueError(f"patch_size ({self.patch_size}) must divide image_size ({self.image_size})")
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self

    @property
    def symmetries(self) -> list[str]:
        """Which kinds of symmetries it has."""
        return ["permutation_spec", "attention_spec"]

    @property
    def tokens(self) -> int:
        """Patches of an image, and the class token."""
        return (self.image_size // self.patch_size) ** 2 + 1

    @property
    def n_parameters(self) -> int:
        """The number of weights, d."""
        width, mlp = self.width, self.mlp
        embeddings = (3 * self.patch_size**2 + 1) * width + width + self.tokens * width
        attention, norms = (width + 1) * 4 * width, 4 * width
        layer = attention + norms + (width + 1) * mlp + (mlp + 1) * width
        return embeddings + self.depth * layer + 2 * width + (width + 1) * self.classes

    @property
    def multiplications(self) -> int:
        """What one input takes: every token all weights, and all tokens' scores and means."""
        return self.n_parameters * self.tokens + 2 * self.depth * self.width * self.tokens**2

    @property
    def most_units(self) -> int:
        """The units that the largest permutation acts on."""
        return self.mlp

    @property
    def layers(self) -> tuple[int, ...]:
        """The values that each layer says of one input."""
        tokens = self.tokens
        said = (3 * self.width * tokens, self.heads * tokens**2, self.mlp * tokens, self.width * tokens)
        return (self.width * tokens, *(said * self.depth), self.classes)

    @property
    def normalised(self) -> bool:
        """Whether it has batch normalisation."""
        return False

    @property
    def called(self) -> str:
        """What messages call it."""
        return "vit"


class ModuleConfig(Section):
    """An architecture of one's own: any callable that returns a `torch.nn.Module`."""

    kind: Literal["module"] = "module"
    """The family of networks."""
    target: Annotated[str, Field(alias="import", pattern=r"^[\w.]+:[\w.]+$")]
    """The callable, `package.module:name`, importable where Snakemake is started."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """What it is called with."""
    shape: Annotated[tuple[Size, ...], Field(min_length=1)]
    """Shape of one input, as the module expects it: `[784]`, `[3, 32, 32]`."""
    classes: Annotated[int, Field(ge=2)]
    """The number of outputs, logits."""
    code: str = ""
    """Filled in by the workflow: a digest of the file that defines the callable, so that a changed formula
    trains anew."""

    @property
    def features(self) -> int:
        """The values of one input."""
        return math.prod(self.shape)

    @property
    def n_parameters(self) -> int:
        """The number of weights, d; builds the module."""
        return self._built().layout.size

    @property
    def multiplications(self) -> int:
        """What one input takes, in linear layers and convolutions; runs the module once."""
        return self._built().multiplications

    @property
    def most_units(self) -> int:
        """The units that the largest permutation acts on."""
        return self._built().most_units

    @property
    def layers(self) -> tuple[int, ...]:
        """The values that each layer says of one input; runs the module once."""
        return self._built().layers

    @property
    def source_file(self) -> Path:
        """The file that defines the callable."""
        return Path(self._built().source_file)

    @property
    def symmetries(self) -> list[str]:
        """Which of the methods that state symmetries the module has."""
        return self._built().symmetries

    @property
    def normalised(self) -> bool:
        """Whether it has batch normalisation."""
        return bool(self._built().batch_norms)

    @property
    def called(self) -> str:
        """What messages call it."""
        return self.target

    @property
    def needed(self) -> str:
        """What must be set to fit other data, for messages."""
        return f"shape and architecture.classes: found {list(self.shape)} and {self.classes}"

    def _built(self) -> Any:
        # Imported here: only who brings modules pays for PyTorch where the configuration is read.
        from dwf_steps.architectures import build

        return build(self)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        kind = "module" if "import" in value or "target" in value else str(value.get("kind", "mlp"))
    else:
        kind = str(value.kind)
    return "resnet" if kind in ("resnet18", "resnet20") else kind


ArchitectureConfig = Annotated[
    Annotated[MLPConfig, Tag("mlp")]
    | Annotated[ResNetConfig, Tag("resnet")]
    | Annotated[ViTConfig, Tag("vit")]
    | Annotated[ModuleConfig, Tag("module")],
    Discriminator(_kind),
]
