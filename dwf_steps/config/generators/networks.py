"""Networks that another tool made."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from dwf_steps.config.generators.base import Context, Draws, GeneratorConfig, Sizes, Work
from dwf_steps.config.imported_networks import ImportedNetwork, imported_networks
from dwf_steps.config.network_files import NetworkFiles
from dwf_steps.config.section import planning


class NetworksConfig(NetworkFiles, GeneratorConfig):
    """Networks that another tool made, judged like all others. What making them cost is not known, and tables
    leave it empty."""

    implementation: ClassVar[str] = "dwf_steps.generators.networks:Networks"
    control: ClassVar[bool] = False
    makes: ClassVar[Literal["samples", "networks"]] = "networks"
    made_elsewhere: ClassVar[bool] = True

    kind: Literal["networks"]
    """Marks the generator as networks from files."""
    files: str | list[str]
    """A folder, a glob pattern, or a list of them, as a zoo's `import`: state dicts, or what `dwf export`
    wrote. All networks that match are judged, in order, as `sample-0`, `sample-1`, ..."""
    aligned: bool = False
    """Whether the networks are first brought into the form of the zoo's by the experiment's
    canonicalization. Without it read their distances after realigning."""

    @model_validator(mode="after")
    def _all_of_them(self) -> Self:
        if self.sampling != Draws():
            raise ValueError("sampling: nothing is drawn, all networks in the files are judged; leave it out")
        return self

    @cached_property
    def found(self) -> list[ImportedNetwork]:
        """The networks in order, as their files were when first asked for."""
        return imported_networks(self.files, self.networks_per_file)

    @property
    def count(self) -> int:
        return len(self.found)

    @property
    def sources(self) -> list[Path]:
        return [network.path for network in self.found]

    @property
    def canonicalized(self) -> bool:
        return self.aligned

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        if not self.found:
            yield (
                f"{where}.files: no network file matches {self.files!r} (relative to "
                f"{Path.cwd()}); there is nothing to judge"
            )

    @planning
    def make_work(self, sizes: Sizes, networks: int) -> Work:
        """Networks while they are read and stacked, and where they are aligned permuted in float64, in ten
        sweeps."""
        if not self.aligned:
            return Work(12 * networks * sizes.d, 10 * networks * sizes.d)
        sweeps = 40 * networks * sizes.d * max(sizes.layers)
        return Work(60 * networks * sizes.d + sizes.data, sweeps)
