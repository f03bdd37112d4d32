"""Running the real workflow on a micro-zoo, in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW_FILES = (
    *("Snakefile", "workflow_config.yaml", "rules", "dwf_steps", "report", "profiles", "slurm", "envs"),
)

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
  interpolation: {sampling: {samples: 6}}
experiments:
  - zoos: [micro]
    canonicalizations: [none, git_rebasin]
    subspaces: [pca_4]
    generators: [flow, gaussian]
  - zoos: [micro]
    canonicalizations: [git_rebasin]
    subspaces: [raw]
    generators: [flow, noise, interpolation]
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository with a configuration of its own."""

    folder: Path
    config: dict[str, Any]

    def write_config(self, config: dict[str, Any] | None = None) -> None:
        (self.folder / "experiment.yaml").write_text(yaml.safe_dump(config or self.config))

    def command(self, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", *arguments),
            *("--cores", "2", "--configfile", "experiment.yaml"),
        ]

    def snakemake(self, *arguments: str, check: bool = True) -> str:
        """Run Snakemake to its end and return all it printed."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        if check and done.returncode:
            raise AssertionError(f"snakemake {' '.join(arguments)} failed:\n{done.stdout[-8000:]}")
        return done.stdout

    def pending(self, *targets: str) -> set[str]:
        """Return the rules that a run would execute now (target rules left out)."""
        output = self.snakemake("--dry-run", *targets)
        return set(re.findall(r"^(?:local)?rule (\w+):$", output, re.M)) - {"all"}

    def results(self, pattern: str) -> dict[str, bytes]:
        """Return the files below results/ that match a glob pattern, by path."""
        base = self.folder / "results"
        return {str(p.relative_to(base)): p.read_bytes() for p in sorted(base.glob(pattern)) if p.is_file()}


def environment() -> dict[str, str]:
    """Return the environment without what a surrounding Snakemake or pytest might have set."""
    return {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "DWF_DATA_DIR", "OMP_NUM_THREADS"}}


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
