"""Architectures of one's own."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from dwf_steps.config.architectures.base import NetworkConfig, Size
from dwf_steps.config.section import CALLABLE_PATTERN


class ModuleConfig(NetworkConfig):
    """An architecture of one's own: any callable that returns a `torch.nn.Module`."""

    kind: Literal["module"] = "module"
    """The family of networks."""
    target: Annotated[str, Field(alias="import", pattern=CALLABLE_PATTERN)]
    """The callable, `package.module:name`, importable where Snakemake is started."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """What it is called with."""
    shape: Annotated[tuple[Size, ...], Field(min_length=1)]
    """Shape of one input, as the module expects it: `[784]`, `[3, 32, 32]`."""
    classes: Size
    """The number of outputs: logits, or one number to predict."""
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
