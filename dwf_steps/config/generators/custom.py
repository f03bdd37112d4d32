"""Generators that the user defines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from dwf_steps.config.generators.base import Context, GeneratorConfig, Sizes, Work
from dwf_steps.config.section import CALLABLE_PATTERN, planning


class CustomConfig(GeneratorConfig):
    """A generator of your own: a class that extends `dwf_steps.generators.base.Generator`."""

    implementation: ClassVar[str] = "dwf_steps.generators.custom:Custom"
    control: ClassVar[bool] = False

    kind: Literal["custom"]
    """Selects a generator of your own."""
    target: Annotated[str, Field(alias="import", pattern=CALLABLE_PATTERN)]
    """The class, `package.module:Class`, importable where Snakemake is started. Changing the code of the file
    that defines it reruns fit and sampling."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Settings of the class, available as `self.config.kwargs`; changing one reruns the fit."""
    has_model: Annotated[bool, Field(alias="fitted")] = False
    """Whether it has a model, with methods `fit`, `state` and `load_state`."""

    @property
    def fitted(self) -> bool:
        return self.has_model

    @property
    def reads_weights(self) -> bool:
        return True

    @property
    def plugins(self) -> dict[str, str]:
        return {"import": self.target}

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        yield from context.generator_problems(self.target, where, self.fitted)

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        """Return the work of some copies of the rows and the samples, and many passes over them."""
        values = (sizes.n + sizes.g) * sizes.k
        return Work(80 * values, 1e4 * values)
