"""Architectures that the user defines."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from dwf_steps.config.architectures.base import NetworkConfig, Size
from dwf_steps.config.section import CALLABLE_PATTERN


class ModuleConfig(NetworkConfig):
    """An architecture of your own: any callable that returns a `torch.nn.Module`."""

    kind: Literal["module"] = "module"
    """The family of networks."""
    target: Annotated[str, Field(alias="import", pattern=CALLABLE_PATTERN)]
    """The callable, `package.module:name`, importable where Snakemake is started."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the callable."""
    shape: Annotated[tuple[Size, ...], Field(min_length=1)]
    """Shape of one input, as the module expects it: `[784]`, `[3, 32, 32]`."""
    classes: Size
    """Number of outputs: logits, or one number to predict."""
    code: str = ""
    """Filled in by the workflow: a digest of the file that defines the callable, so that changing its code
    trains the networks again."""

    @property
    def features(self) -> int:
        """The number of values of one input."""
        return math.prod(self.shape)

    @property
    def called(self) -> str:
        """Its name in messages."""
        return self.target

    @property
    def needed(self) -> str:
        """The settings that would have to change to fit other data, for messages."""
        return f"shape and architecture.classes: found {list(self.shape)} and {self.classes}"
