"""Everything the rules share: the validated configuration, names, settings, fingerprints."""

import inspect
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(workflow.basedir))

from dwf_steps.config.canonicalization import reference_of, until_barycentre
from dwf_steps.config.controls import FRESH
from dwf_steps.config.dataset import FETCHED, TableFile, TextFiles
from dwf_steps.config.generator import AFTER_FITTING, FlowSampling
from dwf_steps.config.sweep import SECTIONS
from dwf_steps.pipeline.load import load_config
from dwf_steps.config.zoo import (
    ImportedZoo,
    held_out_trajectories,
    n_held_out,
    network_names,
    reference_name,
    trajectory_names,
)
from dwf_steps.runtime.errors import InputError
from dwf_steps.pipeline.fingerprint import file_fingerprint, fingerprint
from dwf_steps.pipeline.network_facts import network_facts
from dwf_steps.runtime.plugins import find_callable
from dwf_steps.reporting.results import ExperimentRecord
from dwf_steps.reporting.sweeps import swept_families

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
FITTED_BY = CONFIG.fitted_by()
FLOWS = list(FITTED_BY)
CONTROLS = [name for name, generator in CONFIG.generators.items() if generator.kind not in ("flow", *FRESH)]
SAMPLED = [*FLOWS, *CONTROLS]
TRAINED_CONTROLS = [name for name in CONFIG.generators if name not in SAMPLED]
TO_BARYCENTRE = [name for name, methods in CONFIG.canonicalizations.items() if until_barycentre(methods)]
REPAIRS = [name for name, methods in CONFIG.recalibrations.items() if methods]


def one_of(names):
    """Return a regular expression that matches exactly these names."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    zoo=one_of(CONFIG.zoos),
    canon=one_of(CONFIG.canonicalizations),
    subspace=one_of(CONFIG.subspaces),
    generator=one_of(CONFIG.generators),
    recalibration=one_of(CONFIG.recalibrations),
    transfer=one_of(CONFIG.transfers),
    shard=r"\d+",
    part=r"\d+",


def requested(pattern, generators=CONFIG.generators):
    """Return the paths of a pattern that the experiments ask for, each once."""
    cells = [cell for cell in CELLS if cell.generator in generators]
    return list(dict.fromkeys(pattern.format(**cell._asdict()) for cell in cells))


def fitted(pattern):
    """Return the paths of a pattern over the flows whose models the experiments need, each once."""
    cells = [cell for cell in CELLS if cell.generator in FLOWS]
    models = [cell._replace(generator=FITTED_BY[cell.generator]) for cell in cells]
    return list(dict.fromkeys(pattern.format(**cell._asdict()) for cell in models))


def model_of(wildcards):
    generator = FITTED_BY[wildcards.generator]
    return f"results/{wildcards.zoo}/{wildcards.canon}/{wildcards.subspace}/{generator}/model.safetensors"


def zoo_of(wildcards):
    return CONFIG.zoos[wildcards.zoo]


def reference_for(wildcards):
    """The name of the network that the canonicalization aligns to, or `medoid`."""
    return reference_name(zoo_of(wildcards), reference_of(CONFIG.canonicalizations[wildcards.canon]))


def intermediate(path):
    """Mark what only the next stage reads."""
    return path if CONFIG.keep_aligned else temp(path)


include: "shards.smk"
include: "settings.smk"
include: "record.smk"
include: "results.smk"
include: "../profiles/default/resources.smk"
