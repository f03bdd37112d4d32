"""Running the real workflow on a micro-zoo, in a copy of the repository."""

import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from fork_server import ForkServer

FORKS = ForkServer()
ROOT = Path(__file__).resolve().parent.parent
WORKFLOW_FILES = (
    *("Snakefile", "workflow_config.yaml", "rules", "dwf_steps", "report", "profiles", "slurm", "envs"),
)

TARGETS = {"all", "datasets", *re.findall(r"^rule (\w+):", (ROOT / "Snakefile").read_text(), re.M)}

MICRO = """
zoos:
  micro:
    dataset: iris
    architecture: {kind: mlp, widths: [4, 6, 5, 3]}
    seeds: 10
    held_out: 2
    shard_size: 5
    matrix: {gram_jobs: 2}
    initialisations: [default, he]
    training: {lr: 0.01, batch_size: 16, epochs: 8}
representations:
  responses: {kind: responses, probes: 40, functions: 10, jobs: 2}
subspaces:
  pca_4: {method: dual_pca, components: 4}
  raw: {method: none}
generators:
  flow:
    kind: flow
    source_std: 0.1
    velocity: {width: 16, time_embedding: 8}
    training: {steps: 60, batch_size: 8}
    sampling: {samples: 6, steps: 10}
  gaussian: {sampling: {samples: 6}}
  noise: {sampling: {samples: 6}}
experiments:
  - zoos: [micro]
    canonicalizations: [none, git_rebasin]
    subspaces: [pca_4]
    generators: [gaussian]
  - zoos: [micro]
    canonicalizations: [git_rebasin]
    subspaces: [pca_4, raw]
    generators: [flow]
  - zoos: [micro]
    canonicalizations: [git_rebasin]
    subspaces: [raw]
    generators: [noise]
  - zoos: [micro]
    canonicalizations: [git_rebasin]
    representations: [responses]
    subspaces: [pca_4]
    generators: [gaussian]
"""

# Nothing answers there: what a test does not provide cannot be downloaded.
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository with a configuration of its own."""

    folder: Path
    config: dict[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of its runs."""

    def write_config(self, config: dict[str, Any] | None = None) -> None:
        (self.folder / "experiment.yaml").write_text(yaml.safe_dump(config or self.config))

    def command(self, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", *arguments),
            *("--cores", "2", "--configfile", "experiment.yaml"),
        ]

    def snakemake(self, *arguments: str, check: bool = True) -> str:
        """Run Snakemake to its end and return all it printed."""
        command = self.command(*arguments)
        status, output = FORKS.run("snakemake", command[3:], self.folder, environment() | self.variables)
        if check and status:
            raise AssertionError(f"snakemake {' '.join(arguments)} failed:\n{output[-8000:]}")
        return output

    def status(self, *arguments: str) -> str:
        """Return what `make status` prints."""
        command = [*arguments, "--configfile", "experiment.yaml"]
        status, output = FORKS.run("dwf_steps.cli.status", command, self.folder, environment())
        assert status == 0, output
        return output

    def pending(self, *targets: str) -> set[str]:
        """Return the rules that a run would execute now (target rules left out)."""
        return executed(self.snakemake("--dry-run", *targets)).keys()

    def results(self, pattern: str) -> dict[str, bytes]:
        """Return the files below results/ that match a glob pattern, by path."""
        base = self.folder / "results"
        return {str(p.relative_to(base)): p.read_bytes() for p in sorted(base.glob(pattern)) if p.is_file()}

    def tables(self) -> dict[str, bytes]:
        """Return the tables that a run repeats to the last byte: all but what it took."""
        measured = ("timing", "cost", "ensembles", "overview")
        tables = {p: text for p, text in self.results("tables/[!.]*").items() if Path(p).stem not in measured}
        assert {"accuracy", "novelty", "sets", "experiment"} <= {Path(p).stem for p in tables}
        return tables


@contextmanager
def changed_config(checkout: Checkout, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Change the configuration for the time of a ``with`` block."""
    config = deepcopy(checkout.config)
    change(config)
    checkout.write_config(config)
    try:
        yield
    finally:
        checkout.write_config()


def executed(output: str) -> Counter[str]:
    """Return how many jobs of each rule a run executed, or would execute (target rules left out)."""
    rules = Counter(re.findall(r"^(?:local)?rule (\w+):$", output, re.M))
    return Counter({name: count for name, count in rules.items() if name not in TARGETS})


def environment() -> dict[str, str]:
    """Return the environment without what a surrounding Snakemake or pytest might have set."""
    return {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "OMP_NUM_THREADS"}}


def copy_repository(folder: Path) -> Checkout:
    """Copy what a run needs into ``folder``, with the micro configuration."""
    for name in WORKFLOW_FILES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    checkout = Checkout(folder, yaml.safe_load(MICRO))
    checkout.write_config()
    return checkout


def one_cell(checkout: Checkout, dataset: Any, widths: list[int], **more: Any) -> Checkout:
    """Let the checkout ask for one cheap cell over any data set, and reach no mirror."""
    zoo = checkout.config["zoos"]["micro"] | {
        "dataset": dataset,
        "architecture": {"widths": widths},
        "initialisations": ["default"],
        "training": {"epochs": 1},
    }
    cell = {
        "zoos": ["micro"],
        "canonicalizations": ["git_rebasin"],
        "subspaces": ["pca_4"],
        "generators": ["gaussian"],
    }
    config = checkout.config | {"zoos": {"micro": zoo}, "experiments": [cell]} | more
    result = Checkout(checkout.folder, config, OFFLINE)
    result.write_config()
    return result
