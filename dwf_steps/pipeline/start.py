"""The start of a run: reads and checks the configuration, and sets the environment of its jobs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.io import report, temp
from snakemake.shell import shell
from snakemake.utils import update_config
from snakemake_interface_executor_plugins.settings import DeploymentMethod

from dwf_steps.pipeline.cards import require_memory
from dwf_steps.pipeline.collected import Collected
from dwf_steps.pipeline.estimates import tell_estimates, warn_of_groups
from dwf_steps.pipeline.experiment import Experiment
from dwf_steps.pipeline.failures import show_failed_logs
from dwf_steps.pipeline.fingerprint import fingerprint
from dwf_steps.pipeline.load import load_config
from dwf_steps.pipeline.one_run import one_run_at_a_time
from dwf_steps.pipeline.paths import Paths
from dwf_steps.pipeline.record import record_of
from dwf_steps.pipeline.settings.base import StepSettings
from dwf_steps.pipeline.steps import Step
from dwf_steps.pipeline.strict_yaml import text_of
from dwf_steps.runtime import gpu, parent
from dwf_steps.runtime.errors import InputError


@dataclass(frozen=True)
class Run:
    """What the rules see of a run: the experiment, its paths, and its steps."""

    workflow: Any
    experiment: Experiment
    paths: Paths
    collected: Collected
    steps: dict[str, Step] = field(default_factory=dict)
    """The steps that rules have requested so far, by rule."""

    def step(self, settings: type[StepSettings]) -> Step:
        """Return the step of the rule with these settings."""
        step = Step(settings, self.experiment, self._unbind_threads)
        self.steps[step.name] = step
        return step

    def code(self, step: str) -> Callable[[Any], str]:
        """Return an input function for the fingerprint of a step's code, for steps without settings."""
        return lambda _wildcards: fingerprint(f"dwf_steps.{step}")

    def intermediate(self, path: Any) -> Any:
        """Mark a file that only the next stage reads."""
        return path if self.experiment.config.keep_aligned else temp(path)

    def reported(self, folder: str, name: str, kind: str) -> Any:
        """Return a table or figure for the report, listed in the registry's order, with its caption."""
        path, caption = f"results/{folder}/{name}.{kind}", self.collected.caption(name)
        names = self.collected.tables if folder == "tables" else self.collected.figures
        listed = f"{names.index(name) + 1:02d} {name.replace('_', ' ')}"  # sorted by name in the report
        category = folder.capitalize()
        return report(path, caption=caption, category=category, labels={category[:-1]: listed})

    @property
    def record(self) -> str:
        """The record of the experiments for tables and figures, as JSON."""
        return json.dumps(record_of(self.experiment).model_dump(mode="json"), sort_keys=True)

    @property
    def constraints(self) -> dict[str, str]:
        """A regular expression for each wildcard."""
        config = self.experiment.config
        names = {
            "zoo": config.zoos,
            "canon": config.canonicalizations,
            "representation": config.representations,
            "subspace": config.subspaces,
            "generator": config.generators,
            "recalibration": config.recalibrations,
            "transfer": config.transfers,
        }
        return {level: one_of(defined) for level, defined in names.items()} | {
            "shard": r"\d+",
            "part": r"\d+",
        }

    def _unbind_threads(self) -> None:
        """Remove the limit on cores for jobs on a cluster.

        `cores: all` counts the cores of this machine, by which Snakemake would also limit a cluster's jobs.
        """
        if not self.workflow.local_exec:
            self.workflow.global_resources["_cores"] = self.workflow.resource_settings.cores = None


REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT = Path("workflow_config.yaml")
IMAGE = "DWF_CONTAINER"  # environment variable: the image of steps, which rules/common.smk passes on


def default_path() -> Path:
    """Return the path of the configuration that all others are merged over.

    Returns
    -------
    ``workflow_config.yaml`` in the working directory if it exists, otherwise in the repository.
    """
    return DEFAULT if DEFAULT.exists() else REPOSITORY / DEFAULT


def default_configuration() -> str:
    """Return the path of the default configuration, after checking that Snakemake can read it.

    Returns
    -------
    The same as `default_path`, as text.

    Raises
    ------
    WorkflowError
        If the file is not UTF-8.
    """
    try:
        text_of(default_path())
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return str(default_path())


def start(workflow: Any, config: Mapping[str, Any]) -> Run:
    """Check the configuration and prepare the environment of all jobs.

    Steps run as `python -m dwf_steps...`: with the interpreter that runs Snakemake unless a conda environment
    is activated for the job, and with the code of this repository in any working directory. They end when
    Snakemake does, even by SIGKILL, so that the next run does not meet steps of the last one. For this each
    step must be a direct child of Snakemake, without a shell between them; a shell command must therefore be
    a single command.

    Parameters
    ----------
    workflow
        Snakemake's.
    config
        Merged from all configuration files.

    Returns
    -------
    What the rules need.

    Raises
    ------
    WorkflowError
        Listing everything that is wrong with the configuration.
    """
    # `--resources gpu=N` bounds what rules ask for. A cluster's jobs read the workflow again without being
    # told, and would ask for a GPU inside an allocation that has none: the environment tells them.
    if workflow.is_main_process:
        os.environ[gpu.VARIABLE] = "no" if workflow.global_resources.get("gpu").value == 0 else "yes"
    try:
        experiment = Experiment(load_config(with_defaults(workflow, config), workflow.configfiles))
        require_memory(workflow, experiment)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    os.environ.update(
        PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        PYTHONPATH=os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
        # OpenMP's threads sleep while they wait for each other: spinning ones slow down a busy machine.
        OMP_WAIT_POLICY=os.environ.get("OMP_WAIT_POLICY") or "passive",
    )
    # In a container a step is not Snakemake's own child.
    os.environ[parent.VARIABLE] = "" if _in_containers(workflow) else str(os.getpid())
    shell.prefix("exec ")
    one_run_at_a_time(workflow, partial(warn_of_groups, workflow))
    show_failed_logs(workflow)
    run = Run(workflow, experiment, Paths(experiment), Collected(record_of(experiment)))
    tell_estimates(workflow, run.steps)
    return run


def _in_containers(workflow: Any) -> bool:
    """Return whether steps run in a container's image.

    Raises
    ------
    WorkflowError
        If they are asked to, and no image is named.
    """
    asked = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
    if asked and not os.environ.get(IMAGE):
        raise WorkflowError(
            f"--sdm apptainer: {IMAGE} names no image; build one from envs/Dockerfile (docs/clusters.md) and "
            f"state its path: {IMAGE}=$PWD/dwf.sif snakemake --sdm apptainer ..."
        )
    return asked


def with_defaults(workflow: Any, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a configuration merged over the default one.

    Snakemake does so itself unless the workflow is used as a module of another one.

    Parameters
    ----------
    workflow
        Snakemake's.
    config
        Merged from the configuration files that Snakemake has read.

    Returns
    -------
    ``config`` itself if Snakemake has read the default configuration, otherwise a new mapping.
    """
    if str(default_path()) in workflow.configfiles:
        return config
    merged = load_configfile(default_configuration())
    update_config(merged, config)
    return merged


def one_of(names: Any) -> str:
    """Return a regular expression that matches exactly the given names.

    Parameters
    ----------
    names
        Without special characters.

    Returns
    -------
    An expression that matches nothing if there are no names.
    """
    return "|".join(names) or "(?!)"
