"""Estimates of what a run would take, printed at the end of a dry run."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snakemake.settings.enums import Quietness

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

    from dwf_steps.pipeline.steps import Step

HEADER = (
    "rule",
    "jobs",
    "with GPU",
    "hours",
    "GPU hours",
    "longest",
    "asked for",
    "memory (GB)",
    "disk (GB)",
)
NOTES = """\
hours, GPU hours: estimated from the experiment's size, on one thread for jobs without a GPU; the speed of
GPUs is assumed, not measured. longest: hours of the longest job. asked for: total hours requested from a
cluster, a multiple of the estimate. memory: of a single job, not of its GPU. disk: large files at the end."""


@dataclass(frozen=True)
class Estimate:
    """What the jobs of one rule take.

    Attributes
    ----------
    rule
        Name of the rule.
    jobs
        Number of jobs.
    gpus
        Number of jobs with a GPU.
    hours
        Total hours of jobs without a GPU.
    gpu_hours
        Total hours of jobs with a GPU.
    longest
        Hours of the longest job.
    asked
        Total hours requested from a cluster.
    memory
        Largest memory that a job requests, in MB.
    disk
        Size of all files that the jobs leave, in bytes.
    """

    rule: str
    jobs: int
    gpus: int
    hours: float
    gpu_hours: float
    longest: float
    asked: float
    memory: float
    disk: float

    @property
    def row(self) -> tuple[str, ...]:
        """The values as shown in a table."""
        hours = (f"{value:.1f}" for value in (self.hours, self.gpu_hours, self.longest, self.asked))
        sizes = (f"{self.memory / 1000:.0f}", f"{self.disk / 1e9:.1f}")
        return self.rule, str(self.jobs), str(self.gpus), *hours, *sizes


def estimate(jobs: Iterable[Any], steps: Mapping[str, Step]) -> list[Estimate]:
    """Return what jobs take, by rule and in total.

    Parameters
    ----------
    jobs
        Snakemake's.
    steps
        By rule. Jobs of other rules take seconds, and are left out.

    Returns
    -------
    One row per rule, then their total; empty if no job has a step.
    """
    by_rule: dict[str, list[Any]] = {}
    for job in jobs:
        by_rule.setdefault(job.rule.name, []).append(job)
    rows = [_of_rule(step, by_rule[rule]) for rule, step in steps.items() if rule in by_rule]
    return [*rows, _total(rows)] if rows else []


def _of_rule(step: Step, jobs: list[Any]) -> Estimate:
    seconds = [step.seconds(job.wildcards) for job in jobs]
    gpus = [step.gpu(job.wildcards) for job in jobs]
    on_gpus = sum(taken for taken, gpu in zip(seconds, gpus, strict=True) if gpu)
    return Estimate(
        step.name,
        len(jobs),
        sum(gpus),
        (sum(seconds) - on_gpus) / 3600,
        on_gpus / 3600,
        max(seconds) / 3600,
        sum(int(job.resources.runtime) for job in jobs) / 60,
        max(int(job.resources.mem_mb) for job in jobs),
        sum(step.disk(job.wildcards) for job in jobs),
    )


def _total(rows: list[Estimate]) -> Estimate:
    return Estimate(
        "all",
        sum(row.jobs for row in rows),
        sum(row.gpus for row in rows),
        sum(row.hours for row in rows),
        sum(row.gpu_hours for row in rows),
        max(row.longest for row in rows),
        sum(row.asked for row in rows),
        max(row.memory for row in rows),
        sum(row.disk for row in rows),
    )


def as_text(rows: list[Estimate]) -> str:
    """Return estimates as a table.

    Parameters
    ----------
    rows
        One per rule, and their total.

    Returns
    -------
    Aligned columns with a header, and notes below.
    """
    cells = [HEADER, *(row.row for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        aligned = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *aligned]))
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:], NOTES])


def serial_groups(jobs_or_groups: Iterable[Any]) -> Iterator[str]:
    """Yield a warning for every group name whose jobs could run at the same time.

    Snakemake requests from Slurm what these jobs need at the same time, for as long as the longest takes; but
    in a Slurm job the plugin runs them one after the other (snakemake-executor-plugin-slurm, issue 469).

    Parameters
    ----------
    jobs_or_groups
        Snakemake's.

    Yields
    ------
    One warning per name, without a full stop.
    """
    told: dict[str, str] = {}
    for group in jobs_or_groups:
        if not group.is_group() or all(len(level) < 2 for level in group.toposorted):
            continue
        minutes = [[int(job.resources.get("runtime", 0)) for job in level] for level in group.toposorted]
        together, alone = sum(max(level) for level in minutes), sum(map(sum, minutes))
        told.setdefault(
            group.groupid,
            f"groups: in a Slurm job, jobs of {group.groupid!r} that could run at the same time are run one "
            f"after the other, but it asks for {together} minutes where they may take {alone}, and for "
            "threads, memory and GPUs of several at once; leave group-components out, group only jobs that "
            "follow each other, or submit the others as an array (slurm-array-jobs)",
        )
    yield from told.values()


def tell_estimates(workflow: Workflow, steps: Mapping[str, Step]) -> None:
    """Make a dry run end with estimates and warnings.

    It must be called while the rules of the workflow are being read.

    Parameters
    ----------
    workflow
        Snakemake's.
    steps
        By rule; rules may add theirs later.
    """
    execute = workflow.execute

    def execute_and_tell(*args: Any, **kwargs: Any) -> Any:
        done = execute(*args, **kwargs)
        if workflow.dryrun and Quietness.ALL not in (workflow.output_settings.quiet or ()):
            if rows := estimate(workflow.dag.needrun_jobs(exclude_finished=False), steps):
                sys.stderr.write(f"\nEstimates:\n{as_text(rows)}\n")
            warn_of_groups(workflow)
        return done

    workflow.execute = execute_and_tell


def warn_of_groups(workflow: Workflow) -> None:
    """Print a warning for groups of jobs that would run one after the other.

    Parameters
    ----------
    workflow
        Snakemake's.
    """
    if workflow.group_settings.overwrite_groups:
        for warning in serial_groups(workflow.dag.get_jobs_or_groups()):
            sys.stderr.write(f"Warning: {warning}.\n")
