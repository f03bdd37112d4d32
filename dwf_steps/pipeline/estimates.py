"""What a run would take, as far as it can be known beforehand: told at the end of a dry run."""

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
hours, GPU hours: computed from the experiment's size, of jobs without a GPU of one thread; how fast GPUs are
is guessed, not measured. longest: hours of a single job. asked for: hours that all jobs together ask of a
cluster, several times as many. memory: of a single job, not of the GPU. disk: of large files in the end."""


@dataclass(frozen=True)
class Estimate:
    """What the jobs of one rule take, ``gpus`` of them with a GPU: ``hours`` of all without and ``gpu_hours``
    of all with one, ``longest`` of a single one, and how many they ask a cluster for; the ``memory`` in MB
    that one asks for at most; what all leave on ``disk``, in bytes."""

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
        """The values as a table shows them."""
        hours = (f"{value:.1f}" for value in (self.hours, self.gpu_hours, self.longest, self.asked))
        sizes = (f"{self.memory / 1000:.0f}", f"{self.disk / 1e9:.1f}")
        return self.rule, str(self.jobs), str(self.gpus), *hours, *sizes


def estimate(jobs: Iterable[Any], steps: Mapping[str, Step]) -> list[Estimate]:
    """Return what Snakemake's jobs take, a row a rule, and then the total;
    nothing where no job has a step.

    Parameters
    ----------
    steps
        By rule. What rules without one do takes seconds.
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
    """Return estimates as a table."""
    cells = [HEADER, *(row.row for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        aligned = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *aligned]))
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:], NOTES])


def serial_groups(jobs_or_groups: Iterable[Any]) -> Iterator[str]:
    """Yield a warning for every name of groups in which jobs could run at the same time.

    Snakemake asks Slurm for what these need at the same time, and for no longer than the longest; but in a
    Slurm job the plugin runs one after the other (snakemake-executor-plugin-slurm, issue 469).
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
    """Let a dry run of a workflow whose rules are being read end with estimates, and with warnings."""
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
    """Tell of groups whose jobs would run one after the other."""
    if workflow.group_settings.overwrite_groups:
        for warning in serial_groups(workflow.dag.get_jobs_or_groups()):
            sys.stderr.write(f"Warning: {warning}.\n")
