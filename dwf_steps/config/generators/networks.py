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
    """Networks made by another tool, evaluated like all others.

    What it took to make them is unknown, and left empty in tables.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.networks:Networks"
    control: ClassVar[bool] = False
    makes: ClassVar[Literal["samples", "networks"]] = "networks"
    made_elsewhere: ClassVar[bool] = True

    kind: Literal["networks"]
    """Selects networks from files."""
    files: str | list[str]
    """A folder, a glob pattern, or a list of them, as in a zoo's `import`: state dicts, or files written by
    `dwf export`. All networks found are evaluated, in order, as `sample-0`, `sample-1`, ..."""
    aligned: bool = False
    """Whether the networks are first canonicalized by the experiment's canonicalization. If not, rely on
    their distances after realigning."""

    @model_validator(mode="after")
    def _all_of_them(self) -> Self:
        if self.sampling != Draws():
            raise ValueError(
                "sampling: nothing is drawn, all networks in the files are evaluated; leave it out"
            )
        return self

    @cached_property
    def found(self) -> list[ImportedNetwork]:
        """The networks in order, from the files that existed when they were first listed."""
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
                f"{Path.cwd()}); there is nothing to evaluate"
            )

    @planning
    def make_work(self, sizes: Sizes, networks: int) -> Work:
        """Return the work of reading and stacking the networks and, if asked for, of aligning them.

        Aligned networks are permuted in float64, in about ten sweeps.
        """
        if not self.aligned:
            return Work(12 * networks * sizes.d, 10 * networks * sizes.d)
        sweeps = 40 * networks * sizes.d * max(sizes.layers)
        return Work(60 * networks * sizes.d + sizes.data, sweeps)
