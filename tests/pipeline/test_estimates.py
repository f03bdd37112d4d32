"""What a dry run says that jobs take, and what it warns of."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from checkout import Checkout, changed_config
from pipeline.test_resources import requests

from dwf_steps.pipeline.estimates import serial_groups

# What the micro-zoo's networks 4-6-5-3 and its matrix take.
PARAMETERS = 4 * 6 + 6 + 6 * 5 + 5 + 5 * 3 + 3


def table(output: str) -> dict[str, list[float]]:
    """Return the numbers of the table at the end of a dry run, by rule."""
    text = output.split("\nEstimates:\n")[1].split("\nhours, GPU hours:")[0]
    return {line.split()[0]: [*map(float, line.split()[1:])] for line in text.splitlines()[2:]}


def huge(config: dict[str, Any]) -> None:
    config["zoos"]["micro"] |= {
        "architecture": {"widths": [4, 3000, 3000, 3]},
        "seeds": 100,
        "shard_size": 50,
    }
    config["generators"]["flow"]["training"]["steps"] = 10**6


def test_a_dry_run_ends_with_what_all_jobs_take(finished: Checkout) -> None:
    with changed_config(finished, huge):
        found = table(finished.snakemake("all", "--dry-run", "--forceall"))
        asked = requests(finished)
    for rule, (jobs, gpus, _, _, longest, minutes, memory, _) in found.items():
        of_rule = [request for request in asked if rule in ("all", request.rule)]
        if rule != "all":
            assert jobs == len(of_rule)
        assert gpus == sum(request.amount("gpu") for request in of_rule)
        known = [request for request in of_rule if request.rule not in ("tabulate", "plot")]
        assert minutes == pytest.approx(sum(r.amount("runtime") for r in known) / 60, abs=0.06)
        assert memory == pytest.approx(max(r.amount("mem_mb") for r in known) / 1000, abs=0.5)
        # What is asked for is four times what is estimated, and ten minutes, at most half a minute more.
        assert longest <= max(r.amount("runtime") for r in known) / 240 + 0.06
    d = 4 * 3000 + 3000 + 3000 * 3000 + 3000 + 3000 * 3 + 3
    assert found["train_zoo"][-1] == pytest.approx(4 * 100 * d / 1e9, abs=0.06)
    assert found["stack_weights"][-1] == pytest.approx(2 * 4 * 100 * d / 1e9, abs=0.06)
    assert found["all"][-1] == pytest.approx(sum(row[-1] for row in found.values()) / 2, abs=0.5)
    assert found["fit_generator"][3] > 0 and found["stack_weights"][3] == 0


def test_nothing_is_said_where_nothing_is_to_be_done(finished: Checkout) -> None:
    assert "Estimates" not in finished.snakemake("zoos", "--dry-run")


@dataclass(frozen=True)
class Job:
    resources: dict[str, int]

    def is_group(self) -> bool:
        return False


@dataclass(frozen=True)
class Group:
    groupid: str
    toposorted: Sequence[Sequence[Job]]

    def is_group(self) -> bool:
        return True


def jobs(*minutes: int) -> list[Job]:
    return [Job({"runtime": count}) for count in minutes]


def test_groups_of_jobs_that_follow_each_other_are_not_warned_of() -> None:
    assert not list(serial_groups([Group("align", [jobs(10), jobs(20)]), *jobs(5)]))


def test_a_group_that_would_run_one_after_the_other_is_warned_of() -> None:
    """Two levels of four and of one: 40 minutes are asked for, 12 + 9 + 40 + 7 + 30 may be needed."""
    group = Group("generate", [jobs(12, 9, 40, 7), jobs(30)])
    [warning] = serial_groups([group, group, Group("align", [jobs(10)])])
    assert "'generate'" in warning and "asks for 70 minutes where they may take 98" in warning
    assert math.isclose(12 + 9 + 40 + 7 + 30, 98)


def test_a_dry_run_warns_of_groups(finished: Checkout) -> None:
    groups = ("--groups", "score=generate", "--group-components", "generate=3")
    output = finished.snakemake("all", "--dry-run", "--forceall", *groups)
    assert re.search(r"^Warning: groups: in a Slurm job, jobs of 'generate' ", output, re.M)
    output = finished.snakemake("all", "--dry-run", "--forceall", "--groups", "score=generate")
    assert "Warning: groups" not in output
