"""Networks that another tool made."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from dwf_steps.config.generators.base import Context, Draws, GeneratorConfig, Sizes, Work
from dwf_steps.config.section import planning
from dwf_steps.config.zoo import matching_files


class NetworksConfig(GeneratorConfig):
    """Networks that another tool made, each in a file of its own; judged like all others. What making them
    cost is not known, and tables leave it empty."""

    implementation: ClassVar[str] = "dwf_steps.generators.networks:Networks"
    control: ClassVar[bool] = False
    makes: ClassVar[Literal["samples", "networks"]] = "networks"
    made_elsewhere: ClassVar[bool] = True

    kind: Literal["networks"]
    """Marks the generator as networks from files."""
    files: str | list[str]
    """A folder, a glob pattern, or a list of them: `.safetensors` or `.pt` state dicts. All that match are
    judged, by name in order, as `sample-0`, `sample-1`, ..."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Renames the beginnings of the files' keys, as a zoo's `keys` do."""
    aligned: bool = False
    """Whether the networks are first brought into the form of the zoo's by the experiment's
    canonicalization. Without it read their distances after realigning."""

    @model_validator(mode="after")
    def _all_of_them(self) -> Self:
        if self.sampling != Draws():
            raise ValueError("sampling: nothing is drawn, all networks in the files are judged; leave it out")
        return self

    @cached_property
    def paths(self) -> list[Path]:
        """The files in order, as they were when first asked for."""
        return matching_files(self.files)

    @property
    def count(self) -> int:
        return len(self.paths)

    @property
    def sources(self) -> list[Path]:
        return self.paths

    @property
    def canonicalized(self) -> bool:
        return self.aligned

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        if not self.paths:
            yield (
                f"{where}.files: no .safetensors or .pt file matches {self.files!r} (relative to "
                f"{Path.cwd()}); there is nothing to judge"
            )

    @planning
    def make_work(self, sizes: Sizes, networks: int) -> Work:
        """Networks as they are read and stacked, and where they are aligned permuted in float64, in ten
        sweeps."""
        if not self.aligned:
            return Work(12 * networks * sizes.d, 10 * networks * sizes.d)
        sweeps = 40 * networks * sizes.d * max(sizes.layers)
        return Work(60 * networks * sizes.d + sizes.data, sweeps)
