"""The workflow on a real Slurm: same results as here, whatever happens to its jobs meanwhile."""

import re
import time
from collections import Counter
from collections.abc import Callable

import pytest
from checkout import Checkout
from slurm.cluster import Cluster
from slurm.runs import ClusterRun

LOCAL = {"all", "gather_alignment"}
# Each generated set is sampled, decoded, scored and evaluated by one job.
GROUPED = ("sample_generator", "decode", "score", "evaluate")


@pytest.fixture(scope="module")
def disturbed(slurm: Cluster, new_checkout: Callable[[], Checkout]) -> ClusterRun:
    """Return a finished run of everything, one job of which was cancelled while it ran, and during which
    Slurm's controller was away for a while."""
    groups = [f"{rule}=generate" for rule in GROUPED]
    run = ClusterRun.start(new_checkout(), slurm, "all", "--groups", *groups)
    try:
        slurm.run("scancel", run.at_work("rule_train_zoo/micro_0", "results/logs/micro/train_zoo-0.log"))
        run.at_work("rule_canonicalize/micro_none_0", "results/logs/micro/none/canonicalize-0.log")
        slurm.stop_controller()
        time.sleep(5)
        slurm.start_controller()
        run.finish()
    finally:
        run.process.kill()
        run.process.wait()
    return run


def test_results_are_those_of_a_local_run(disturbed: ClusterRun, finished: Checkout) -> None:
    for pattern in (
        *("tables/accuracy.*", "tables/novelty.*", "tables/alignment.*"),
        *("**/*.safetensors", "**/metrics.csv", "**/weights.zarr/**/*"),
    ):
        expected = finished.results(pattern)
        assert expected
        assert disturbed.checkout.results(pattern) == expected


def test_every_job_went_through_slurm(disturbed: ClusterRun, slurm: Cluster) -> None:
    """Snakemake's word against Slurm's own record."""
    ended, submitted = slurm.ended_jobs(), disturbed.submitted()
    assert set(submitted) <= set(ended)
    executed = Counter(re.findall(r"^(?:local)?rule (\w+):$", disturbed.output, re.M))
    assert set(re.findall(r"^localrule (\w+):$", disturbed.output, re.M)) == LOCAL
    by_rule = Counter(name.split("/")[0] for name in submitted.values())
    for rule, count in executed.items():
        if rule not in LOCAL and rule not in GROUPED:
            assert by_rule[f"rule_{rule}"] == count, rule
    scored = disturbed.checkout.results("micro/*/*/*/*/metrics.csv")
    assert sum(by_rule[name] for name in by_rule if name.startswith("group_")) == len(scored) > 0


def test_only_the_cancelled_job_was_repeated(disturbed: ClusterRun, slurm: Cluster) -> None:
    submitted = disturbed.submitted()
    repeated = {name for name, count in Counter(submitted.values()).items() if count > 1}
    assert {name for name in repeated if name.startswith("rule_")} == {"rule_train_zoo/micro_0"}
    states = Counter(slurm.ended_jobs()[number]["JobState"] for number in submitted)
    assert states == {"CANCELLED": 1, "COMPLETED": len(submitted) - 1}


def test_nothing_is_left_behind_or_to_do(disturbed: ClusterRun) -> None:
    folder = disturbed.checkout.folder
    assert not list(folder.rglob("*.partial*"))
    assert not list(folder.rglob("*.checkpoint"))
    assert disturbed.checkout.pending() == set()
