"""The workflow on a real Slurm: same results as here, whatever happens to its jobs meanwhile."""

import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from checkout import Checkout
from slurm.cluster import Cluster
from slurm.prompt_snakemake import PAUSE
from slurm.runs import ClusterRun

LOCAL = {"all", "gather_alignment"}
# Jobs of these rules are joined, so that there are few: all from a zoo to its bases, all of a generated set,
# and all that is told of them. The zoo's shards are submitted as an array.
GROUPS = {
    "align": (
        *("choose_reference", "canonicalize", "stack_weights", "accumulate_gram", "solve_basis"),
        *("score_zoo", "evaluate_zoo"),
    ),
    "generate": ("sample_generator", "decode", "score", "evaluate"),
    "report": ("tabulate", "plot"),
}
GROUPED = {rule for rules in GROUPS.values() for rule in rules}
CANCELLED, LIMITED = "rule_divide_data/micro", "rule_fit_generator/micro_none_weights_pca_2_flow"
FIT = "micro/none/weights/pca_2/flow/fit_generator.log"


class Disturbed(NamedTuple):
    """A finished run of everything, one job of which was cancelled while it ran, another reached its time
    limit, and during which Slurm's controller was away for a moment; and the same run undisturbed, here."""

    run: ClusterRun
    undisturbed: Checkout
    cancelled: str
    limited: str


def small(checkout: Checkout) -> Checkout:
    """Let the checkout ask for a flow and a control of a zoo of two shards."""
    config = checkout.config
    config["zoos"]["micro"] |= {"seeds": 4, "held_out": 1, "shard_size": 2, "matrix": {"gram_jobs": 1}}
    config["subspaces"] = {"pca_2": {"method": "dual_pca", "components": 2}}
    del config["generators"]["noise"]
    config["generators"]["flow"]["training"]["steps"] = 3_000
    config["experiments"] = [
        {
            "zoos": ["micro"],
            "canonicalizations": ["none"],
            "subspaces": ["pca_2"],
            "generators": ["flow", "gaussian"],
        }
    ]
    checkout.write_config()
    return checkout


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that run in a checkout."""
    return [one for one in psutil.process_iter(["cmdline", "cwd"]) if one.info["cwd"] == str(folder)]


def fit_of(folder: Path) -> psutil.Process:
    """Return the process that trains a flow in a checkout."""
    for process in processes_in(folder):
        if "dwf_steps.fit_generator" in (process.info["cmdline"] or []):
            return process
    raise RuntimeError(f"nothing is fitted in {folder}")


@pytest.fixture(scope="module")
def disturbed(slurm: Cluster, new_checkout: Callable[[], Checkout]) -> Iterator[Disturbed]:
    undisturbed = small(new_checkout())
    groups = [f"{rule}={group}" for group, rules in GROUPS.items() for rule in rules]
    run = ClusterRun.start(
        small(new_checkout()), slurm, "all", "--slurm-array-jobs", "train_zoo", "--groups", *groups
    )
    logs = run.checkout.folder / "results/logs"
    try:
        cancelled = run.at_work(CANCELLED, logs / "micro/divide_data.log")
        slurm.run("scancel", cancelled)
        limited = run.at_work(LIMITED, logs / FIT)
        slurm.wait_for(lambda: "step" in (logs / FIT).read_text(), "the training to begin")
        # Slurm looks twice a minute whether a limit is reached: the training waits for that.
        fit_of(run.checkout.folder).send_signal(signal.SIGSTOP)
        # A job that starts its step while the controller is away tries again minutes later.
        others = {number for number in run.submitted() if number != limited}
        slurm.wait_for(lambda: others <= set(slurm.ended_jobs()), "all other jobs to end")
        # Limits are whole minutes, a minute at least; this one ends now.
        slurm.run("scontrol", "update", f"JobId={limited}", "EndTime=now")
        slurm.stop_controller()
        time.sleep(2 * PAUSE)  # Snakemake asks meanwhile
        slurm.start_controller()
        undisturbed.snakemake("all")
        run.finish()
        yield Disturbed(run, undisturbed, cancelled, limited)
    finally:
        run.process.kill()
        run.process.wait()
        # The Snakemake of the job that reached its limit may outlive Slurm.
        for left in processes_in(run.checkout.folder):
            left.kill()


def test_results_are_those_of_a_local_run(disturbed: Disturbed) -> None:
    for pattern in (
        *("tables/accuracy.*", "tables/novelty.*", "tables/alignment.*"),
        *("**/*.safetensors", "**/metrics.csv", "**/weights.zarr/**/*"),
        "micro/none/weights/pca_2/*/training.csv",
    ):
        expected = disturbed.undisturbed.results(pattern)
        assert expected
        assert disturbed.run.checkout.results(pattern) == expected


def test_every_job_went_through_slurm(disturbed: Disturbed, slurm: Cluster) -> None:
    """Snakemake's word against Slurm's own record."""
    ended, submitted, output = slurm.ended_jobs(), disturbed.run.submitted(), disturbed.run.output
    assert set(submitted) == set(ended)
    by_rule = Counter(name.split("/")[0] for name in submitted.values())
    # The log of a job that failed is shown, in which its rule is a local one.
    local = set(re.findall(r"^localrule (\w+):$", output, re.M))
    assert {rule for rule in local if f"rule_{rule}" not in by_rule} == LOCAL
    assert {f"rule_{rule}" for rule in re.findall(r"^rule (\w+):$", output, re.M)} <= set(by_rule)
    groups = Counter(name.split("_")[1] for name in submitted.values() if name.startswith("group_"))
    assert groups == {"align": 1, "generate": 2, "report": 1}
    assert set(re.findall(r"^ +rule (\w+):$", output, re.M)) == GROUPED


def test_only_the_cancelled_job_and_the_one_out_of_time_were_repeated(
    disturbed: Disturbed, slurm: Cluster
) -> None:
    submitted, ended = disturbed.run.submitted(), slurm.ended_jobs()
    single = Counter(name for name in submitted.values() if name.startswith("rule_") and "/" in name)
    assert {name for name, count in single.items() if count > 1} == {CANCELLED, LIMITED}
    states = {number: ended[number]["JobState"] for number in submitted}
    assert states.pop(disturbed.cancelled) == "CANCELLED"
    assert states.pop(disturbed.limited) == "TIMEOUT"
    assert set(states.values()) == {"COMPLETED"}


def test_the_training_out_of_time_went_on_where_it_was(disturbed: Disturbed) -> None:
    assert "resumed after step" in (disturbed.run.checkout.folder / "results/logs" / FIT).read_text()


def test_the_shards_of_a_zoo_were_submitted_as_one_array(disturbed: Disturbed) -> None:
    arrays = re.findall(r"^Submitted array job with Snakemake IDs (\S+) ", disturbed.run.output, re.M)
    assert [len(array.split(",")) for array in arrays] == [2]


def test_nothing_is_left_behind_or_to_do(disturbed: Disturbed) -> None:
    folder = disturbed.run.checkout.folder
    assert not list(folder.rglob("*.partial*"))
    assert not list(folder.rglob("*.checkpoint"))
    assert disturbed.run.checkout.pending() == set()
