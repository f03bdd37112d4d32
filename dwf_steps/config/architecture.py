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
    def called(self) -> str:
        """What messages call it."""
        return f"{self.activation} mlp"

    @property
    def needed(self) -> str:
        """What must be set to fit other data, for messages."""
        return f"widths: found {self.widths}"


class ViTConfig(Section):
    """A vision transformer, torchvision's `VisionTransformer`, for colour images."""

    kind: Literal["vit"]
    """The family of networks."""
    image_size: Size = 32
    """Height and width of an image."""
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
    classes: Annotated[int, Field(ge=2)]
    """The number of outputs."""

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
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return 3, self.image_size, self.image_size

    @property
    def features(self) -> int:
        """The values of one input."""
        return math.prod(self.shape)

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
    def layers(self) -> tuple[int, ...]:
        """The values that each layer says of one input."""
        tokens = self.tokens
        said = (3 * self.width * tokens, self.heads * tokens**2, self.mlp * tokens, self.width * tokens)
        return (self.width * tokens, *(said * self.depth), self.classes)

    @property
    def called(self) -> str:
        """What messages call it."""
        return "vit"

    @property
    def needed(self) -> str:
        """What must be set to fit other data, for messages."""
        return f"image_size and architecture.classes: found {self.image_size} and {self.classes}"


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
        return "module" if "import" in value or "target" in value else str(value.get("kind", "mlp"))
    return str(value.kind)


ArchitectureConfig = Annotated[
    Annotated[MLPConfig, Tag("mlp")]
    | Annotated[ViTConfig, Tag("vit")]
    | Annotated[ModuleConfig, Tag("module")],
    Discriminator(_kind),
]
