"""Everything the rules share: the validated configuration, names, settings, fingerprints."""

import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(workflow.basedir))

from dwf_steps.config.canonicalization import reference_of
from dwf_steps.config.dataset import FETCHED, TableFile
from dwf_steps.config.workflow import load_config, reference_name
from dwf_steps.config.zoo import ImportedZoo, held_out_names, network_names
from dwf_steps.errors import InputError
from dwf_steps.fingerprint import fingerprint

try:
    CONFIG = load_config(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

# Steps run as `python -m dwf_steps...`: with the interpreter that runs Snakemake unless a conda
# environment is activated for the job, and with this repository's code whatever the working directory.
# They end when Snakemake does, even by SIGKILL, so that the next run meets no step of the last one; for this
# each must be Snakemake's own child, without a shell between the two: shell commands are one command each.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    PYTHONPATH=os.pathsep.join([str(workflow.basedir), os.environ.get("PYTHONPATH", "")]),
    DWF_ENDS_WITH_PARENT="1",
)
shell.prefix("exec ")


include: "one_run.smk"


# Marking rules for the cache without one being named makes Snakemake warn in every run.
SHARED = "SNAKEMAKE_OUTPUT_CACHE" in os.environ

CELLS = CONFIG.cells()
IMPORTED = [name for name, zoo in CONFIG.zoos.items() if isinstance(zoo, ImportedZoo)]
TRAINED = [name for name in CONFIG.zoos if name not in IMPORTED]
FLOWS = list(CONFIG.flows())
CONTROLS = [name for name in CONFIG.generators if name not in FLOWS]


def one_of(names):
    """Return a regular expression that matches exactly these names."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    zoo=one_of(CONFIG.zoos),
    canon=one_of(CONFIG.canonicalizations),
    subspace=one_of(CONFIG.subspaces),
    generator=one_of(CONFIG.generators),
    dataset=one_of(FETCHED),
    shard=r"\d+",
    part=r"\d+",


def requested(pattern, generators=CONFIG.generators):
    """Return the paths of a pattern that the experiments ask for, each once."""
    cells = [cell for cell in CELLS if cell.generator in generators]
    return list(dict.fromkeys(pattern.format(**cell._asdict()) for cell in cells))


def zoo_of(wildcards):
    return CONFIG.zoos[wildcards.zoo]


def reference_for(wildcards):
    """The name of the network that the canonicalization aligns to, or `medoid`."""
    return reference_name(zoo_of(wildcards), reference_of(CONFIG.canonicalizations[wildcards.canon]))


def intermediate(path):
    """Mark what only the next stage reads."""
    return path if CONFIG.keep_aligned else temp(path)


# Shards: how a zoo is divided into jobs.


def n_shards(zoo_name):
    zoo = CONFIG.zoos[zoo_name]
    return 1 if isinstance(zoo, ImportedZoo) else zoo.n_shards


def n_generated_shards(names):
    """The jobs over which a generator's samples are divided when they are decoded; of wildcards or a cell."""
    return min(CONFIG.zoos[names.zoo].matrix.decode_jobs, CONFIG.generators[names.generator].sampling.samples)


def numbered(pattern, count):
    """Return an input function for the paths of a pattern over the first ``count(wildcards)`` shards."""

    def paths(wildcards):
        return [pattern.format(**wildcards, shard=shard) for shard in range(count(wildcards))]

    return paths


def shard_paths(pattern):
    """Return an input function for the paths of a pattern over all shards of the zoo."""
    return numbered(pattern, lambda wildcards: n_shards(wildcards.zoo))


def generated_shards(pattern):
    """Return an input function for the paths of a pattern over all shards of a generator's networks."""
    return numbered(pattern, n_generated_shards)


def requested_networks(pattern):
    """Return the paths of a pattern over all shards of networks that the experiments ask for."""
    return [
        pattern.format(**cell._asdict(), shard=shard)
        for cell in CELLS
        for shard in range(n_generated_shards(cell))
    ]


GENERATED = requested_networks("results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}.json")


def gram_parts(wildcards):
    """The parts of the Gram matrix, one a job."""
    parts = range(zoo_of(wildcards).matrix.gram_jobs)
    return [f"results/{wildcards.zoo}/{wildcards.canon}/gram/part-{part}.npz" for part in parts]


def zoo_manifests_of(zoo_names):
    return [f"results/{zoo}/zoo/shard-{shard}.json" for zoo in zoo_names for shard in range(n_shards(zoo))]


def reference_manifests(wildcards):
    """The shard that holds the reference; all of them where the medoid is sought."""
    zoo, shards = zoo_of(wildcards), range(n_shards(wildcards.zoo))
    reference = reference_for(wildcards)
    if reference != "medoid" and not isinstance(zoo, ImportedZoo):
        shards = [network_names(zoo).index(reference) // zoo.shard_size]
    return [f"results/{wildcards.zoo}/zoo/shard-{shard}.json" for shard in shards]


def imported_files(wildcards):
    return [str(path) for path in zoo_of(wildcards).paths()]


# What is collected.

TABLE_NAMES = ["accuracy", "novelty", "alignment", "precision", "timing"]
FIGURE_NAMES = ["accuracy_against_iou", "explained_variance", "flow_loss"]
TABLES = expand("results/tables/{table}.{kind}", table=TABLE_NAMES, kind=["csv", "md", "tex"])
FIGURES = expand("results/figures/{figure}.{kind}", figure=FIGURE_NAMES, kind=["pdf", "png"])


def benchmarks(wildcards):
    """Return the benchmark file of every job whose time the tables state."""
    zoos = dict.fromkeys(cell.zoo for cell in CELLS)
    aligned = dict.fromkeys((cell.zoo, cell.canon) for cell in CELLS)
    return (
        [
            f"results/benchmarks/{zoo}/{'import' if zoo in IMPORTED else 'train'}_zoo-{shard}.tsv"
            for zoo in zoos
            for shard in range(n_shards(zoo))
        ]
        + [
            f"results/benchmarks/{zoo}/{canon}/canonicalize-{shard}.tsv"
            for zoo, canon in aligned
            for shard in range(n_shards(zoo))
        ]
        + requested("results/benchmarks/{zoo}/{canon}/stack_weights.tsv")
        + [
            f"results/benchmarks/{zoo}/{canon}/accumulate_gram-{part}.tsv"
            for zoo, canon in aligned
            for part in range(CONFIG.zoos[zoo].matrix.gram_jobs)
        ]
        + requested("results/benchmarks/{zoo}/{canon}/{subspace}/solve_basis.tsv")
        + requested("results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/train_flow.tsv", FLOWS)
        + requested("results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/sample.tsv")
        + requested_networks("results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/decode-{shard}.tsv")
        + requested("results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/evaluate.tsv")
    )


include: "settings.smk"
include: "../profiles/default/resources.smk"
