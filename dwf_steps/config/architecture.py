"""Network architectures."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from dwf_steps.config.section import Section

Activation = Literal["relu", "gelu", "tanh"]
Initialisation = Literal["default", "he", "xavier", "uniform", "normal"]
Size = Annotated[int, Field(ge=1)]


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
    def needed(self) -> str:
        """What must be set to fit other data, for messages."""
        return f"widths: found {self.widths}"


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
        module = self._built().module()
        return [name for name in ("permutation_spec", "rescaling_spec") if hasattr(module, name)]

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
        return "module" if "import" in value or "target" in value else "mlp"
    return str(value.kind)


ArchitectureConfig = Annotated[
    Annotated[MLPConfig, Tag("mlp")] | Annotated[ModuleConfig, Tag("module")], Discriminator(_kind)
]
