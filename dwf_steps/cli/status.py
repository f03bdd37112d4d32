"""Show which jobs are done, running, failed and to run, and which files the configuration does not use.

Takes the targets and options of a Snakemake run, such as ``--configfile configs/mnist.yaml``. Writes nothing.
"""

import argparse
import io
import logging
import os
import re
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path

from snakemake.api import SnakemakeApi, resolve_snakefile
from snakemake.cli import parse_args, parse_config
from snakemake.dag import DAG
from snakemake.jobs import Job as SnakemakeJob
from snakemake.jobs import Reason
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    DeploymentSettings,
    OutputSettings,
    ResourceSettings,
)
from tabulate import tabulate

from dwf_steps.cli.jobs import Job, Stale, State, last_line, read_failures, stale, states
from dwf_steps.runtime.progress import duration
from dwf_steps.runtime.run_lock import Holder, Marker, Run, read_markers, read_run

LISTED = 20  # lines in one paragraph
PARAMS = "params have changed since last execution"  # Snakemake's wording, like the next
FOLLOWS = "input files updated by another job"


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse Snakemake's arguments, profiles included, suppressing its remarks on profiles.

    Parameters
    ----------
    arguments
        Targets and options of Snakemake.

    Returns
    -------
    Snakemake's parsed arguments.

    Raises
    ------
    SystemExit
        If Snakemake rejects the arguments.
    """
    remarks = io.StringIO()
    try:
        with redirect_stderr(remarks):
            return parse_args(list(arguments))[1]
    except SystemExit:
        sys.stderr.write(remarks.getvalue())
        raise


def _change_to(args: argparse.Namespace) -> None:
    """Change to the run's working directory, making paths in ``args`` absolute first."""
    if snakefile := resolve_snakefile(args.snakefile, allow_missing=True):
        args.snakefile = Path(snakefile).absolute()
    args.configfile = [Path(path).absolute() for path in args.configfile or []]
    os.chdir(args.directory)


def read_jobs(args: argparse.Namespace) -> list[Job]:
    """Determine all jobs that the targets need.

    Snakemake builds its graph of jobs as for a dry run, which neither takes nor respects the lock.

    Parameters
    ----------
    args
        Snakemake's parsed arguments, from `parse_arguments`.

    Returns
    -------
    The jobs, in the order of the workflow's rules.

    Raises
    ------
    SystemExit
        If Snakemake cannot build the graph; its message has been printed.
    """
    settings = OutputSettings(log_level_override=logging.ERROR, enable_file_logging=False)
    with SnakemakeApi(settings) as api:
        try:
            workflow_api = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(
                    config=parse_config(args.config), configfiles=args.configfile, config_args=args.config
                ),
                deployment_settings=DeploymentSettings(deployment_method=args.software_deployment_method),
                snakefile=args.snakefile,
            )
            workflow_api.dag(
                DAGSettings(targets=args.targets, rerun_triggers=args.rerun_triggers, force_incomplete=True)
            )
            # The public interface prints the graph of jobs, but does not return it.
            workflow = workflow_api._workflow
            workflow._prepare_dag(forceall=False, ignore_incomplete=False, lock_warn_only=True)
            workflow._build_dag()
        except Exception as error:
            api.print_exception(error)
            sys.exit(1)
        order = {rule.name: i for i, rule in enumerate(workflow.rules)}
        jobs = [_read_job(job, workflow.dag) for job in workflow.dag.jobs if job.output]
    return sorted(jobs, key=lambda job: (order[job.rule], job.outputs))


def _read_job(job: SnakemakeJob, dag: DAG) -> Job:
    return Job(
        rule=job.rule.name,
        wildcards=", ".join(f"{name}={value}" for name, value in job.wildcards_dict.items()),
        outputs=tuple(map(str, job.output)),
        log=str(job.log[0]) if job.log else None,
        benchmark=str(job.benchmark) if job.benchmark else None,
        reasons=tuple(_reasons(dag.reason(job))) if dag.needrun(job) else (),
    )


def _reasons(reason: Reason) -> list[str]:
    """Return Snakemake's reasons; for changed params, whether settings, code or both have changed."""
    names = list(reason.get_names())
    if len(names) > 1 and FOLLOWS in names:
        names.remove(FOLLOWS)
    if reason.params_changed:
        changed = [str(value).strip("'") for value in reason.params_changed.only_new]
        code = any(re.fullmatch(r"[0-9a-f]{16}", value) for value in changed)
        settings = not all(re.fullmatch(r"[0-9a-f]{16}", value) for value in changed)
        kinds = ["settings have changed"] * settings + ["the step's code has changed"] * code
        names[names.index(PARAMS)] = " and ".join(kinds)
    return names


def describe_run(holder: Holder, run: Run | None) -> str:
    """Describe the run that locks the directory.

    Parameters
    ----------
    holder
        The run's state.
    run
        The run, if it is known.

    Returns
    -------
    One sentence, or two.
    """
    match holder:
        case Holder.NONE:
            return "No run is at work."
        case Holder.ALIVE:
            return f"At work: {run}."
        case Holder.GONE:
            return (
                f"No run is at work. One was killed and left its lock: {run}. `snakemake` says how to go on."
            )
        case Holder.UNSEEN:
            return f"Locked by a run that cannot be seen from here: {run}."
        case Holder.UNNAMED:
            return "Locked by a run that is just starting, or was killed while starting."


def overview(found: Mapping[Job, State]) -> str:
    """Count each rule's jobs by state.

    Parameters
    ----------
    found
        The state by job.

    Returns
    -------
    A table with a row for each rule.
    """
    columns = [state for state in State if state in (State.DONE, State.TO_RUN) or state in found.values()]
    rows = []
    for rule in dict.fromkeys(job.rule for job in found):
        counts = Counter(state for job, state in found.items() if job.rule == rule)
        rest = [counts[state] or "" for state in columns if state is not State.DONE]
        rows.append([rule, f"{counts[State.DONE]}/{counts.total()}", *rest])
    headers = ["rule", *(state.value for state in columns)]
    return tabulate(rows, headers, tablefmt="simple", colalign=["left"] + ["right"] * len(columns))


def reasons(found: Mapping[Job, State]) -> list[str]:
    """Summarise why jobs would run.

    Parameters
    ----------
    found
        The state by job.

    Returns
    -------
    A line for every rule and reason, with the number of jobs.
    """
    counts = Counter(
        (job.rule, "; ".join(job.reasons)) for job, state in found.items() if state is State.TO_RUN
    )
    return [f"{count:4d}  {rule}: {why}" for (rule, why), count in counts.items()]


def attempts(
    found: Mapping[Job, State], state: State, failures: Mapping[str, str] | None = None
) -> list[str]:
    """Describe the last attempt of every job in a given state.

    Parameters
    ----------
    found
        The state by job.
    state
        The state to select.
    failures
        Snakemake's messages on failed jobs, by output.

    Returns
    -------
    A line for each job: its name, Snakemake's message and the last line of its log.
    """
    lines = []
    for job, at in found.items():
        if at is state:
            reason = next((failures[output] for output in job.outputs if failures and output in failures), "")
            lines.append(": ".join(part for part in (job.name, reason, _last_words(job.log)) if part))
    return lines


def _last_words(log: str | None) -> str:
    if log is None or not Path(log).is_file():
        return "no log yet"
    age = duration(max(0.0, time.time() - Path(log).stat().st_mtime))
    return f"{last_line(Path(log)) or 'nothing logged yet'} ({age} ago, {log})"


def describe_stale(entries: Sequence[Stale], arguments: Sequence[str]) -> str:
    """Describe stale files, and how to remove them.

    Parameters
    ----------
    entries
        The files.
    arguments
        The targets and options that the files are stale for.

    Returns
    -------
    A paragraph with the number and size of files, their paths and a shell command.
    """
    files, size = sum(entry.files for entry in entries), sum(entry.size for entry in entries)
    lines = _listed(
        [f"{_size(entry.size):>10}  {_files(entry.files):>11}  {entry.path}" for entry in entries]
    )
    listing = shlex.join(["python", "-m", "dwf_steps.cli.status", "--stale", *arguments])
    return "\n".join(
        [
            f"Not used by this configuration: {_files(files)}, {_size(size)}",
            *lines,
            "If no other configuration uses them and nothing is running, this removes them:",
            f"  {listing} | xargs -rd '\\n' rm -r",
        ]
    )


def _files(count: int) -> str:
    return f"{count} file" + "s" * (count != 1)


def _size(size: int) -> str:
    power = min(max(size.bit_length() - 1, 0) // 10, 3)
    return f"{size / 1024**power:.{1 if power else 0}f} {('bytes', 'KiB', 'MiB', 'GiB')[power]}"


def _listed(lines: list[str]) -> list[str]:
    more = [f"  ... and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return [f"  {line}" for line in lines[:LISTED]] + more


def elsewhere(
    found: Mapping[Job, State], holder: Holder, run: Run | None, markers: Mapping[str, Marker]
) -> list[str]:
    """Find outputs that the current run is making for another configuration or target.

    Parameters
    ----------
    found
        The state by job.
    holder
        The state of the run that locks the directory.
    run
        That run, if it is known.
    markers
        Snakemake's notes on jobs that have started and not ended, by output.

    Returns
    -------
    Paths of outputs; none unless a run is active on this host.
    """
    if holder is not Holder.ALIVE or run is None:
        return []
    known = {output for job in found for output in job.outputs}
    return [path for path, marker in markers.items() if marker.started >= run.started and path not in known]


def report(
    found: Mapping[Job, State],
    holder: Holder,
    run: Run | None,
    markers: Mapping[str, Marker],
    failures: Mapping[str, str],
) -> str:
    """Describe the state of all jobs.

    Parameters
    ----------
    found
        The state by job.
    holder
        The state of the run that locks the directory.
    run
        That run, if it is known.
    markers
        Snakemake's notes on jobs that have started and not ended, by output.
    failures
        Snakemake's messages on failed jobs, by output.

    Returns
    -------
    A paragraph for each state.
    """
    sections = [
        ("Running", attempts(found, State.RUNNING)),
        ("Waiting for the cluster", attempts(found, State.QUEUED)),
        ("Being made for another configuration or target", elsewhere(found, holder, run, markers)),
        ("Failed when last tried", attempts(found, State.FAILED, failures)),
        ("Interrupted by a kill; the next run continues them", attempts(found, State.KILLED)),
        ("To run, and why", reasons(found)),
    ]
    paragraphs = [describe_run(holder, run), overview(found)]
    paragraphs += ["\n".join([f"{title}:", *_listed(lines)]) for title, lines in sections if lines]
    return "\n\n".join(paragraphs)


def main() -> None:
    """Print the state of the workflow that the command line describes."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `make status | head` ends without a traceback
    parser = argparse.ArgumentParser(
        description=__doc__, usage="%(prog)s [--stale] [targets and options of snakemake]", allow_abbrev=False
    )
    parser.add_argument(
        "--stale", action="store_true", help="print only the paths that the configuration does not use"
    )
    own, arguments = parser.parse_known_args()
    args = parse_arguments(arguments)
    if args.directory:
        _change_to(args)
    # Read before the jobs: a job that starts in between is shown as "to run", one that ends as "done".
    holder, run = read_run()
    markers, failures = read_markers(), read_failures()
    jobs = read_jobs(args)
    leftovers = stale(jobs) if set(args.targets) <= {"all"} else []
    if own.stale:
        for entry in leftovers:
            print(entry.path)
        return
    found = states(jobs, holder, run, markers, failures)
    print(report(found, holder, run, markers, failures))
    if leftovers:
        print(f"\n{describe_stale(leftovers, arguments)}")


if __name__ == "__main__":
    main()
